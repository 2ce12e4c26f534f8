"""Still images are told from their first bytes, before any decoder sees them: they are not video."""

from __future__ import annotations

import struct
from pathlib import Path

from musiscene.errors import MediaLimitError, UnreadableMediaError
from musiscene.types import Limits

_HEADER_BYTES = 64
_IMAGE_BRANDS = {b"avif", b"heic", b"heix", b"mif1"}
"""Major brands of ISO files that hold one picture (AVIF, HEIF)."""


def refuse_still_image(path: Path, limits: Limits) -> None:
    """Say so when the file is a still image; do nothing otherwise.

    Raises:
        UnreadableMediaError: It is one, or the file cannot be read.
        MediaLimitError: It is one, and claims more pixels than `limits` accepts.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER_BYTES)
    except OSError as error:
        raise UnreadableMediaError(f"{path.name} cannot be read: {error.strerror}.") from error
    kind, size = _still_image(head)
    if kind is None:
        return
    if size is not None and size[0] * size[1] > limits.max_pixels:
        raise MediaLimitError(
            f"{path.name} is a still image of {size[0]} x {size[1]} pixels ({kind}), and too large for this "
            "installation too; a video or a music file is needed."
        )
    raise UnreadableMediaError(f"{path.name} is a still image ({kind}); a video or a music file is needed.")


def _still_image(head: bytes) -> tuple[str | None, tuple[int, int] | None]:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG", struct.unpack(">II", head[16:24]) if len(head) >= 24 else None
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG", None
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP", None
    if head[:4] in {b"II*\0", b"MM\0*"}:
        return "TIFF", None
    if head[:2] == b"BM" and head[14:18] in {b"\x28\0\0\0", b"\x0c\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0"}:
        return "BMP", None
    if head[4:8] == b"ftyp" and head[8:12] in _IMAGE_BRANDS:
        return "AVIF" if head[8:12] == b"avif" else "HEIF", None
    if head.startswith((b"\0\0\x01\0", b"\0\0\x02\0")) and head[4:6] != b"\0\0" and head[9:10] == b"\0":
        return "icon", None
    return None, None
