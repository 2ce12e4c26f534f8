"""The display matrix: how a stored picture is turned before it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from musiscene.media.container import DECODE_ERRORS, discard_others, opened, prepare_decoder

_MAX_TRIED_PACKETS = 400
_MAX_TRIED_BYTES = 64 << 20


def first_frame_rotation(path: Path, stream_index: int, max_pixels: int) -> int | None:
    """Degrees in (-180, 180], counter-clockwise positive, of the first picture that decodes; None when none does.

    Only the start of the stream is tried: pictures that begin after hundreds of broken packets are not worth showing.
    """
    with opened(path, max_pixels) as container:
        stream = container.streams[stream_index]
        prepare_decoder(stream, max_pixels=max_pixels)
        discard_others(container, stream)
        tried_bytes = 0
        for tried, packet in enumerate(container.demux(stream)):
            try:
                frames = packet.decode()
            except DECODE_ERRORS:
                frames = []
            for frame in frames:
                assert isinstance(frame, VideoFrame)
                return normalized(frame.rotation)
            tried_bytes += packet.size
            if tried >= _MAX_TRIED_PACKETS or tried_bytes > _MAX_TRIED_BYTES:
                break
    return None


def normalized(degrees: float) -> int:
    """`degrees` as a whole number in (-180, 180]."""
    turned = round(degrees) % 360
    return turned - 360 if turned > 180 else turned


def display_matrix(frame: VideoFrame) -> NDArray[np.int32] | None:
    """The nine numbers of the frame's display matrix (ISO 14496-12, section 6.2.2), row by row; None without one."""
    side_data: Any = frame.side_data.get("DISPLAYMATRIX")
    return None if side_data is None else np.frombuffer(bytes(side_data), np.int32, count=9)


def upright(image: NDArray[np.uint8], matrix: NDArray[np.int32] | None) -> NDArray[np.uint8]:
    """`image` `(height, width, 3)` turned and mirrored by quarter turns as `matrix` says.

    A stored point (x, y) is shown at (a x + c y, b x + d y). Angles between quarter turns are shown as the nearest.
    """
    if matrix is None:
        return image
    a, b, c, d = (int(matrix[i]) for i in (0, 1, 3, 4))
    if abs(b) + abs(c) > abs(a) + abs(d):
        image = image.transpose(1, 0, 2)
        mirrored, flipped = c < 0, b < 0
    else:
        mirrored, flipped = a < 0, d < 0
    if mirrored:
        image = image[:, ::-1]
    if flipped:
        image = image[::-1]
    return np.ascontiguousarray(image)
