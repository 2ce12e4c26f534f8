"""A decoded picture as 8-bit sRGB: scaled while it is converted, alpha on white, high dynamic range tone-mapped."""

from __future__ import annotations

from functools import cache

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

_PQ, _HLG = 16, 18
"""Transfer characteristics of ITU-T H.273, table 3: SMPTE ST 2084 and ARIB STD-B67."""
_UNSPECIFIED, _BT2020_PRIMARIES = 2, 9
_SWSCALE_MATRIX = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
"""Matrix coefficients of H.273, table 4 -> swscale's own numbers (SWS_CS_*)."""
_HD_LINES = 720

_REFERENCE_WHITE_NITS = 203.0
"""Where HDR puts the white of a page (ITU-R BT.2408, table 1)."""
_MASTER_PEAK_NITS = 1000.0
_BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
"""Linear light (ITU-R BT.2087, section 2.2, inverted)."""
_BT709_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


def is_hdr(frame: VideoFrame) -> bool:
    """Whether the picture is coded for high dynamic range (PQ or HLG)."""
    return int(frame.color_trc) in (_PQ, _HLG)


def fitted_size(width: int, height: int, max_side: int | None) -> tuple[int, int]:
    """The size whose longer side is at most `max_side`, same shape; never enlarged, never zero."""
    longer = max(width, height)
    if max_side is None or longer <= max_side:
        return width, height
    return max(1, round(width * max_side / longer)), max(1, round(height * max_side / longer))


def to_rgb(frame: VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
    """`(height, width, 3)` uint8 sRGB of `frame`, as stored (not yet turned upright)."""
    if is_hdr(frame):
        return _tone_mapped(frame, width, height)
    if _has_alpha(frame):
        rgba = np.asarray(_converted(frame, width, height, "rgba"), np.uint16)
        alpha = rgba[..., 3:]
        return np.asarray((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255, np.uint8)
    return np.asarray(_converted(frame, width, height, "rgb24"), np.uint8)


def _has_alpha(frame: VideoFrame) -> bool:
    name = frame.format.name
    return name == "pal8" or name.startswith(("yuva", "rgba", "bgra", "argb", "abgr", "gbrap", "ya8", "ya16"))


def _converted(frame: VideoFrame, width: int, height: int, pixel_format: str) -> NDArray[np.generic]:
    reformatted = frame.reformat(
        width,
        height,
        format=pixel_format,
        src_colorspace=None if _is_rgb(frame) else _matrix(frame),
        interpolation="AREA" if width < frame.width or height < frame.height else "BICUBIC",
        threads=1,
    )
    return np.asarray(reformatted.to_ndarray())


def _is_rgb(frame: VideoFrame) -> bool:
    name = frame.format.name
    return name.startswith(("rgb", "bgr", "gbr", "argb", "abgr", "pal", "0rgb", "0bgr"))


def _matrix(frame: VideoFrame) -> int:
    declared = _SWSCALE_MATRIX.get(int(frame.colorspace))
    if declared is not None:
        return declared
    return 1 if min(frame.width, frame.height) >= _HD_LINES else 5  # what every player assumes for untagged pictures


def _tone_mapped(frame: VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
    """HDR to sRGB: linear light, reference white to 1, BT.709 primaries, highlights rolled off on luminance.

    The curve is extended Reinhard (Reinhard et al. 2002, equation 4) with the master's peak as its white point.
    """
    coded = np.asarray(_converted(frame, width, height, "rgb48le"), np.uint16)
    curve = _pq_curve() if int(frame.color_trc) == _PQ else _hlg_curve()
    linear = curve[coded]
    if int(frame.color_trc) == _HLG:  # the display's own system gamma of 1.2 (BT.2100, table 5)
        luma = np.maximum(linear @ _BT709_LUMA, 1e-6)[..., None]
        linear = linear * luma**0.2 * np.float32(_MASTER_PEAK_NITS / _REFERENCE_WHITE_NITS)
    if int(frame.color_primaries) in (_BT2020_PRIMARIES, _UNSPECIFIED):
        linear = linear @ _BT2020_TO_BT709.T
    linear = np.maximum(linear, 0.0)
    white = np.float32(_MASTER_PEAK_NITS / _REFERENCE_WHITE_NITS)
    luminance = np.maximum(linear @ _BT709_LUMA, 1e-6)[..., None]
    linear = linear * (1.0 + luminance / white**2) / (1.0 + luminance)
    # Reinhard darkens mid-tones too; a page's white (1.0) should stay near white, so lift it back.
    linear = np.clip(linear * np.float32(1.6), 0.0, 1.0)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(srgb * 255.0 + 0.5, np.uint8)


@cache
def _pq_curve() -> NDArray[np.float32]:
    """16-bit PQ code -> linear light relative to reference white (SMPTE ST 2084, equation 4)."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    root = np.linspace(0.0, 1.0, 65536) ** (1 / m2)
    nits = 10000.0 * (np.maximum(root - c1, 0.0) / (c2 - c3 * root)) ** (1 / m1)
    return np.asarray(nits / _REFERENCE_WHITE_NITS, np.float32)


@cache
def _hlg_curve() -> NDArray[np.float32]:
    """16-bit HLG code -> scene light, 0 to 1 (ITU-R BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    code = np.linspace(0.0, 1.0, 65536)
    return np.asarray(np.where(code <= 0.5, code**2 / 3.0, (np.exp((code - c) / a) + b) / 12.0), np.float32)


def encodable(frame: VideoFrame, width: int, height: int) -> VideoFrame:
    """`frame` as 8-bit 4:2:0 BT.709 of that size, tone-mapped and on white where needed, for an encoder."""
    if is_hdr(frame) or _has_alpha(frame):
        source = VideoFrame.from_ndarray(to_rgb(frame, width, height), format="rgb24")
        matrix = None
    else:
        source = frame
        matrix = None if _is_rgb(frame) else _matrix(frame)
    picture = source.reformat(
        width,
        height,
        format="yuv420p",
        src_colorspace=matrix,
        dst_colorspace=1,
        dst_color_range="MPEG",
        interpolation="BICUBIC",
    )
    picture.colorspace = 1
    picture.color_range = 1
    picture.color_primaries = 1
    picture.color_trc = 1
    return picture
