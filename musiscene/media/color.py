"""A decoded picture as 8-bit sRGB: scaled while it is converted, alpha on white, high dynamic range tone-mapped."""

from __future__ import annotations

from functools import cache

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFilter import Color3DLUT

_PQ, _HLG = 16, 18
"""Transfer characteristics of ITU-T H.273, table 3: SMPTE ST 2084 and ARIB STD-B67."""
_UNSPECIFIED, _BT2020_PRIMARIES = 2, 9
_BT709 = 1
_SWSCALE_MATRIX = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
"""Matrix coefficients of H.273, table 4 -> swscale's own numbers (SWS_CS_*)."""
_HD_LINES = 720

_REFERENCE_WHITE_NITS = 203.0
"""Where HDR puts the white of a page (ITU-R BT.2408, table 1)."""
_PEAK = 1000.0 / _REFERENCE_WHITE_NITS
"""Where most masters end, in units of reference white."""
_KNEE = 0.5
_LUT_SIDE = 49
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
    coded = np.asarray(_converted(frame, width, height, "rgb48le"), np.uint16)
    return np.asarray(_to_srgb(coded, int(frame.color_trc), int(frame.color_primaries)) * 255.0 + 0.5, np.uint8)


def _to_srgb(coded: NDArray[np.uint16], transfer: int, primaries: int) -> NDArray[np.float32]:
    """HDR code values `(…, 3)` to sRGB, 0 to 1: linear light, BT.709 primaries, highlights rolled off on luminance.

    Up to half of reference white nothing changes; from there to the master's peak extended Reinhard (Reinhard et al.
    2002, equation 4) bends the rest into what is left, and white lands near 80 % of linear light.
    """
    linear = (_pq_curve() if transfer == _PQ else _hlg_curve())[coded]
    if transfer == _HLG:  # the display's own system gamma of 1.2 (BT.2100, table 5)
        luma = np.maximum(linear @ _BT709_LUMA, 1e-6)[..., None]
        linear = linear * luma**0.2 * np.float32(_PEAK)
    if primaries in (_BT2020_PRIMARIES, _UNSPECIFIED):
        linear = linear @ _BT2020_TO_BT709.T
    linear = np.maximum(linear, 0.0)
    luminance = np.maximum(linear @ _BT709_LUMA, 1e-6)[..., None]
    above = np.maximum(luminance - _KNEE, 0.0) / (1 - _KNEE)
    peak = (_PEAK - _KNEE) / (1 - _KNEE)
    bent = np.minimum(luminance, _KNEE) + (1 - _KNEE) * above * (1 + above / peak**2) / (1 + above)
    linear = np.clip(linear * (bent / luminance), 0.0, 1.0)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(srgb, np.float32)


@cache
def _lookup_table(transfer: int, primaries: int) -> Color3DLUT:
    """`_to_srgb` on a coarse grid, for whole films: interpolation is thirty times faster than the formulas."""
    axis = np.linspace(0, 65535, _LUT_SIDE).round().astype(np.uint16)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    table = _to_srgb(np.stack([red, green, blue], axis=-1), transfer, primaries)
    return Color3DLUT(_LUT_SIDE, table.reshape(-1, 3).ravel().tolist())


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


def encoded_matrix(frame: VideoFrame) -> int:
    """Matrix coefficients (H.273, table 4) of what `encodable` makes of `frame`: its own, or BT.709."""
    if is_hdr(frame) or _has_alpha(frame) or _is_rgb(frame):
        return _BT709
    return {1: _BT709, 4: 4, 5: 6, 7: 7}.get(_matrix(frame), _BT709)


def encodable(frame: VideoFrame, width: int, height: int) -> VideoFrame:
    """`frame` as 8-bit 4:2:0 of that size for an encoder, tone-mapped and on white where needed; itself if it is."""
    source, matrix = frame, _matrix(frame)
    if is_hdr(frame):
        coded = Image.fromarray(np.asarray(_converted(frame, width, height, "rgb24"), np.uint8))
        mapped = coded.filter(_lookup_table(int(frame.color_trc), int(frame.color_primaries)))
        source = VideoFrame.from_ndarray(np.asarray(mapped), format="rgb24")
    elif _has_alpha(frame):
        source = VideoFrame.from_ndarray(to_rgb(frame, width, height), format="rgb24")
    elif frame.format.name == "yuv420p" and (frame.width, frame.height) == (width, height) and matrix != 9:
        frame.pict_type = 0  # the encoder decides which pictures stand alone
        return frame
    return source.reformat(
        width,
        height,
        format="yuv420p",
        src_colorspace=None if _is_rgb(source) else matrix,
        dst_colorspace=_SWSCALE_MATRIX[encoded_matrix(frame)],
        dst_color_range="MPEG",
        interpolation="BICUBIC",
    )
