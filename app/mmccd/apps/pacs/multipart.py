"""Bodies of type multipart/related (RFC 2387), as DICOMweb packs several objects into one: read
part by part, never as a whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path

_BREAK = b"\r\n"


class BrokenBodyError(ValueError):
    """The body is not what its type promises, or ends too early."""


def boundary_of(content_type: str) -> bytes:
    """The boundary that a Content-Type header names.

    Raises:
        BrokenBodyError: it is no multipart type.
    """
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_boundary()
    if message.get_content_maintype() != "multipart" or not boundary:
        raise BrokenBodyError("no multipart answer")
    return boundary.encode("latin-1", "replace")


def save_parts(chunks: Iterator[bytes], boundary: bytes, folder: Path, first: int = 0) -> int:
    """Write each part's content to a file of its own, ``000000.dcm`` and so on.

    Args:
        chunks: the body, in pieces of any size.
        boundary: see :func:`boundary_of`.
        folder: where to; must be there.
        first: number of the first file.

    Returns:
        The number of parts.

    Raises:
        BrokenBodyError: the closing boundary is missing: the body is cut off.
    """
    reader = _Reader(chunks)
    mark = _BREAK + b"--" + boundary
    reader.until(mark, _drop)
    count = 0
    while not reader.starts_with(b"--"):
        reader.until(_BREAK + _BREAK, _drop)
        with (folder / f"{first + count:06d}.dcm").open("wb") as file:
            reader.until(mark, file.write)
        count += 1
    return count


def pack(contents: list[bytes]) -> tuple[bytes, str]:
    """Objects as one body, and its Content-Type. The boundary is a hash over them, so that it is in
    none.
    """
    boundary = hashlib.sha256(b"".join(contents)).hexdigest()
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    body = (
        b"".join(head + content + _BREAK for content in contents) + f"--{boundary}--\r\n".encode()
    )
    return body, f'multipart/related; type="application/dicom"; boundary={boundary}'


def _drop(data: bytes) -> None:
    pass


class _Reader:
    """A window over the body. It begins with a line break, so that the first boundary looks like
    the others.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = chunks
        self.buffer = _BREAK

    def until(self, mark: bytes, sink: Callable[[bytes], object]) -> None:
        """Pass what comes before a mark to a sink, and skip the mark."""
        while (place := self.buffer.find(mark)) < 0:
            safe = max(0, len(self.buffer) - len(mark) + 1)
            sink(self.buffer[:safe])
            self.buffer = self.buffer[safe:] + self._more()
        sink(self.buffer[:place])
        self.buffer = self.buffer[place + len(mark) :]

    def starts_with(self, word: bytes) -> bool:
        """Whether the next bytes are these."""
        while len(self.buffer) < len(word):
            self.buffer += self._more()
        return self.buffer.startswith(word)

    def _more(self) -> bytes:
        for chunk in self.chunks:
            if chunk:
                return chunk
        raise BrokenBodyError("the answer is cut off")
