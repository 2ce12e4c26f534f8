"""What travels between a page and a machine with backends: frames of a JSON document and raw bytes.

A frame is two big-endian 32-bit lengths, the document in UTF-8, and the bytes. Nothing of it can run: no pickles.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any

PROTOCOL = 1
CONTENT_TYPE = "application/vnd.musiscene.frames"
MAX_DOCUMENT_BYTES = 4 << 20
MAX_PAYLOAD_BYTES = 1 << 20
"""Longer things travel in several frames."""

_LENGTHS = struct.Struct(">II")


class FrameError(Exception):
    """The bytes are no frames."""


def frame(document: Mapping[str, Any], payload: bytes | memoryview = b"") -> bytes:
    """One frame.

    Raises:
        FrameError: It would be longer than the other side takes.
    """
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    if len(text) > MAX_DOCUMENT_BYTES or len(payload) > MAX_PAYLOAD_BYTES:
        raise FrameError("too long for a frame")
    return b"".join((_LENGTHS.pack(len(text), len(payload)), text, payload))


def pieces(payload: bytes | memoryview) -> Iterator[memoryview]:
    """`payload` in parts that fit into frames."""
    view = memoryview(payload)
    for begin in range(0, len(view), MAX_PAYLOAD_BYTES):
        yield view[begin : begin + MAX_PAYLOAD_BYTES]


class FrameReader:
    """Takes bytes as they come and gives whole frames."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def push(self, data: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Yield the documents and payloads that `data` completes.

        Raises:
            FrameError: It is none of our frames, or longer than any of ours.
        """
        self._rest += data
        while len(self._rest) >= _LENGTHS.size:
            text_bytes, payload_bytes = _LENGTHS.unpack_from(self._rest)
            if text_bytes > MAX_DOCUMENT_BYTES or payload_bytes > MAX_PAYLOAD_BYTES:
                raise FrameError("longer than any frame")
            payload_at = _LENGTHS.size + text_bytes
            end = payload_at + payload_bytes
            if len(self._rest) < end:
                return
            try:
                document = json.loads(bytes(self._rest[_LENGTHS.size : payload_at]))
            except (ValueError, RecursionError):
                raise FrameError("no JSON") from None
            if not isinstance(document, dict):
                raise FrameError("no document")
            payload = bytes(self._rest[payload_at:end])
            del self._rest[:end]
            yield document, payload

    def rest(self) -> bytes:
        """Take what came behind the last frame."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest

    def finish(self) -> None:
        """Say that nothing more comes.

        Raises:
            FrameError: A frame is not complete.
        """
        if self._rest:
            raise FrameError("broken off")
