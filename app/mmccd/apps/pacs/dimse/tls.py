"""TLS for associations: both ends show certificates, TLS 1.2 and up."""

from __future__ import annotations

import ssl

from mmccd.apps.pacs.dimse.settings import DimseSettings
from mmccd.core import UsageError


def for_calls(settings: DimseSettings) -> ssl.SSLContext | None:
    """For associations that we ask for: the other's certificate and name are checked, and ours is
    shown where there is one; None without TLS.

    Raises:
        UsageError: a file is no certificate, or no key to it.
    """
    if not settings.tls:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return _with_files(context, settings)


def for_listening(settings: DimseSettings) -> ssl.SSLContext | None:
    """For associations that others ask for: they need a certificate where ``tls_ca`` says whose
    count; None without TLS.

    Raises:
        UsageError: as :func:`for_calls`.
    """
    if not settings.tls:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if settings.tls_ca:
        context.verify_mode = ssl.CERT_REQUIRED
    return _with_files(context, settings)


def _with_files(context: ssl.SSLContext, settings: DimseSettings) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if settings.tls_ca:
            context.load_verify_locations(cafile=settings.tls_ca)
        else:
            context.load_default_certs()
    except (OSError, ValueError) as error:
        raise _unusable(settings.tls_ca, "certificates in PEM format", "TLS_CA") from error
    try:
        if settings.tls_cert:
            context.load_cert_chain(settings.tls_cert, settings.tls_key, password=_no_password)
    except (OSError, ValueError) as error:
        expected = "a certificate in PEM format and the key to it, without a password"
        raise _unusable(f"{settings.tls_cert}, {settings.tls_key}", expected, "TLS_CERT") from error
    return context


def _no_password() -> str:
    """Without it OpenSSL would ask at the terminal, and wait."""
    return ""


def _unusable(files: str, expected: str, name: str) -> UsageError:
    return UsageError(f"{files}: cannot be used; expected {expected}; correct MMCCD_PACS_{name}")
