"""A strip of tiny pictures from all over a clip, small enough to travel inside the evidence."""

from __future__ import annotations

import base64

import cv2
import numpy as np
from numpy.typing import NDArray

from musiscene.captions._video.reading import shrunk

PICTURES = 8
SIDE = 96
MOST_BYTES = 40_000


def make_strip(kept: tuple[NDArray[np.uint8], ...], kept_s: tuple[float, ...]) -> list[dict[str, object]]:
    """At most eight pictures: `time_s` and `jpeg`, a base64 JPEG with a longer side of at most 96 pixels."""
    chosen = np.unique(np.linspace(0, len(kept) - 1, min(PICTURES, len(kept))).astype(int))
    for quality in (72, 50, 30):
        strip: list[dict[str, object]] = []
        for k in chosen:
            small = np.ascontiguousarray(shrunk(kept[k], SIDE)[..., ::-1])
            jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
            strip.append({"time_s": round(kept_s[k], 3), "jpeg": base64.b64encode(jpeg).decode("ascii")})
        if sum(len(str(picture["jpeg"])) for picture in strip) <= MOST_BYTES:
            return strip
    return strip[::2]
