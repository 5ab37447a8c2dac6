"""The service with all its parts, from open to closed."""

from __future__ import annotations

import contextlib
import getpass
import logging
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from mmccd import NOTICE, __version__
from mmccd.apps.pacs.application import Applications
from mmccd.apps.pacs.archive import Destination, Source
from mmccd.apps.pacs.audit import Audit
from mmccd.apps.pacs.events import Events, Kind, Listener
from mmccd.apps.pacs.ledger import Ledger
from mmccd.apps.pacs.metrics import Metrics
from mmccd.apps.pacs.outbox import Outbox
from mmccd.apps.pacs.service import Service, remove_left_over
from mmccd.apps.pacs.settings import PacsSettings
from mmccd.apps.pacs.watch import Watch
from mmccd.apps.pacs.web import Archive
from mmccd.apps.pacs.webhook import Webhook
from mmccd.core import MmccdError, Settings, UsageError, variable_of
from mmccd.jobs import INTERRUPTED, state_of_run

logger = logging.getLogger(__name__)


def serve(settings: PacsSettings, chosen: Settings, environment: Mapping[str, str]) -> int:
    """Run until it is told to end, or, with ``once``, until all that is due is done.

    Args:
        settings: of the service.
        chosen: of the prediction.
        environment: variables.

    Returns:
        The exit code.

    Raises:
        MmccdError: what ended it.
    """
    results = chosen.output_choice.modalities
    if not results:
        raise UsageError(
            f"{variable_of('outputs')}={chosen.outputs}: makes nothing that an archive could take;"
            " expected both or dicom; change it"
        )
    ledger = Ledger(settings)
    ledger.open()
    with ExitStack() as stack:
        stack.callback(ledger.close)
        applications = Applications(settings.workers, chosen, environment, ledger.held)
        stack.callback(applications.close)
        events = Events()
        try:
            remove_left_over(settings.state)
            events = _listeners(settings, ledger, stack)
            logger.info("%s %s, archive %s", NOTICE, f"mmccd {__version__}", settings.place)
            source, destinations = archives(settings, stack)
            service = Service(settings, source, destinations, ledger, applications, events, results)
            if not settings.once:
                service.forever()
            code = service.once()
            _end(ledger, events, code, None)
            return code
        except BaseException as error:
            text = str(error) if isinstance(error, MmccdError) else type(error).__name__
            _end(ledger, events, _exit_code(error), text)
            raise


def archives(settings: PacsSettings, stack: ExitStack) -> tuple[Source, list[Destination]]:
    """Where studies come from, and where results go: there, too, or where DIMSE says, and to a
    second archive where there is one. What listens ends with the stack.
    """
    archive, route = Archive(settings), settings.route
    others: list[Destination] = [] if settings.store else [archive]
    others += [] if route is None else [Archive(route)]
    if not settings.speaks_dimse:
        return archive, others
    from mmccd.apps.pacs.dimse.ways import opened

    ways = stack.enter_context(opened(settings, others))
    return ways.source or archive, list(ways.destinations)


def _listeners(settings: PacsSettings, ledger: Ledger, stack: ExitStack) -> Events:
    """Who is told what happens; ends with the stack."""
    metrics = Metrics(ledger, Outbox(settings.state))
    audit = Path(settings.audit) if settings.audit else settings.state / "audit.jsonl"
    listeners: list[Listener] = [metrics, Audit(audit, _user())]
    if settings.webhook:
        webhook = Webhook(settings.webhook, settings.ca_file)
        listeners.append(webhook)
        stack.callback(webhook.wait)
    events = Events(listeners)
    if settings.watch_port:
        address = (settings.watch_host, settings.watch_port)
        watch = Watch(address, ledger, metrics, events)
        stack.callback(watch.close)
        logger.info("health and metrics on http://%s:%d", settings.watch_host, watch.port)
    events.tell(Kind.STARTED, version=__version__)
    return events


def _user() -> str:
    with contextlib.suppress(OSError, KeyError, ImportError):
        return getpass.getuser()
    return "unknown"


def _exit_code(error: BaseException) -> int:
    if isinstance(error, MmccdError):
        return error.exit_code
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1


def _end(ledger: Ledger, events: Events, code: int, message: str | None) -> None:
    events.tell(Kind.ENDED, exit_code=code, message=message)
    ledger.state = state_of_run(code)
    ledger.exit_code, ledger.message = code, message
    ledger.write()
