"""An upload (multipart/form-data), written to the disk piece by piece: the memory that it takes
does not grow with it. What is stored has names of ours.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from mmccd.apps.serve.errors import RequestError
from mmccd.core import InputError, OutputError, ResourceError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

VOLUME_ENDINGS = (
    *(".nii.gz", ".nii.bz2", ".nii.xz", ".nii"),
    *(".nrrd", ".nhdr", ".mha", ".mhd", ".mgz", ".mgh"),
)
ARCHIVE_ENDINGS = (".zip", ".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tar")
MOST_FILES = 20_000
OVERHEAD_BYTES = 16 * 2**20
"""What the names and headers of that many files may take beside their content."""
_NAME_FIELD, _NAME_LENGTH = "name", 200
_IGNORED = ("thumbs.db", "desktop.ini", "dicomdir")
"""A DICOMDIR lists files by names that they do not have here."""


@dataclass(frozen=True)
class Received:
    """What has come.

    Attributes:
        name: what its user calls it.
        file: the one image, by its name of ours; empty where all of them are one DICOM study.
        size: in bytes.
        files: their number.
    """

    name: str
    file: str
    size: int
    files: int


async def receive(
    body: AsyncIterator[bytes], content_type: str, folder: Path, max_bytes: int
) -> Received:
    """Write the files of an upload into a folder.

    Args:
        body: pieces of the request.
        content_type: of the request.
        folder: an existing, empty folder.
        max_bytes: of all files.

    Raises:
        RequestError: it is too large, broken off, no form, without a file, or with several images.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise RequestError(
            415,
            InputError(
                "the request is no multipart/form-data; expected a form with files",
                code="serve.no_form",
            ),
        )
    with contextlib.closing(_Parts(folder, max_bytes)) as parts:
        try:
            parser = MultipartParser(boundary, parts.callbacks())
            async for piece in body:
                parser.write(piece)
            parser.finalize()
        except FormParserError as error:
            raise _broken() from error
        except OSError as error:
            raise RequestError(
                507,
                OutputError(
                    f"the upload cannot be written ({error.strerror}); free some space",
                    code="output.not_writable",
                ),
            ) from error
        return parts.received()


class _Parts:
    """Takes the parts of a form as they come."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder, self._left = folder, max_bytes
        self._max_bytes = max_bytes
        self._header, self._value = bytearray(), bytearray()
        self._disposition = b""
        self._open: BinaryIO | None = None
        self._text: bytearray | None = None
        self._ended = False
        self.name, self.first = "", ""
        self.stored: list[str] = []

    def callbacks(self) -> MultipartCallbacks:
        """For the parser."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._open_part,
            "on_part_data": self._take,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def close(self) -> None:
        """Close the file that is open."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def received(self) -> Received:
        """What has come, once all is there.

        Raises:
            RequestError: it is not a scan.
        """
        if not self._ended:
            raise _broken()
        if not self.stored:
            raise RequestError(
                422,
                InputError(
                    "the upload holds no file; expected a NIfTI file, a zip or DICOM files",
                    code="serve.no_file",
                ),
            )
        single = [
            name for name in self.stored if name.endswith((*VOLUME_ENDINGS, *ARCHIVE_ENDINGS))
        ]
        if single and len(self.stored) > 1:
            raise RequestError(
                422,
                InputError(
                    f"the upload holds {len(self.stored)} files, {len(single)} of them images or"
                    " archives of their own; expected one, or the DICOM files of one study; upload"
                    " them one by one",
                    code="serve.several",
                ),
            )
        file = self.stored[0] if len(self.stored) == 1 else ""
        name = " ".join((self.name or self.first).split())[:_NAME_LENGTH] or "scan"
        return Received(name, file, self._max_bytes - self._left, len(self.stored))

    def _begin(self) -> None:
        self._header.clear()
        self._value.clear()
        self._disposition = b""

    def _header_end(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _open_part(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"filename" not in options:
            is_name = options.get(b"name") == _NAME_FIELD.encode()
            self._text = bytearray() if is_name else None
            return
        given = PurePosixPath(options[b"filename"].decode(errors="replace").replace("\\", "/")).name
        if not given or given.startswith(".") or given.lower() in _IGNORED:
            return
        if len(self.stored) >= MOST_FILES:
            raise RequestError(
                413,
                ResourceError(
                    f"the upload holds more than {MOST_FILES} files; upload one study",
                    code="serve.too_many_files",
                ),
            )
        self.first = self.first or given
        name = stored_name(given, len(self.stored))
        self._open = (self._folder / name).open("xb")
        self.stored.append(name)

    def _take(self, data: bytes, start: int, end: int) -> None:
        self._left -= end - start
        if self._left < 0:
            raise too_large(self._max_bytes)
        if self._open is not None:
            self._open.write(data[start:end])
        elif self._text is not None and len(self._text) <= 4 * _NAME_LENGTH:
            self._text.extend(data[start:end])

    def _end_part(self) -> None:
        if self._text is not None:
            self.name = self._text.decode(errors="replace")
            self._text = None
        self.close()

    def _end(self) -> None:
        self._ended = True


def stored_name(given: str, number: int) -> str:
    """The name of a file on the disk: of the user's nothing stays but the ending of a format."""
    ending = next(
        (one for one in (*VOLUME_ENDINGS, *ARCHIVE_ENDINGS) if given.lower().endswith(one)), ".dcm"
    )
    return f"{number:06d}{ending}"


def too_large(max_bytes: int) -> RequestError:
    """The error for an upload above the limit."""
    return RequestError(
        413,
        ResourceError(
            f"the upload is larger than {max_bytes / 2**20:.0f} MiB; upload one scan, or start the"
            " server with a larger --max-mib",
            code="serve.too_large",
        ),
    )


def _broken() -> RequestError:
    return RequestError(
        400,
        InputError(
            "the upload broke off; expected a whole form; upload again", code="serve.broken"
        ),
    )
