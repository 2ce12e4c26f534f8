"""Stage 1, in: a media file becomes a `Clip`, its frames and its sound; loudness and sound files on the way out.

The names below are loaded when they are first used, so that importing this package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from musiscene.media.audio import Audio, downmix, read_audio
    from musiscene.media.editing import concatenate
    from musiscene.media.endings import missing_end_s
    from musiscene.media.files import atomic_path, content_hash
    from musiscene.media.frame_times import frame_times
    from musiscene.media.frames import Frames, frames_at, iter_frames, iter_frames_at, sample_frames
    from musiscene.media.levelling import normalize_loudness
    from musiscene.media.loudness import Loudness, measure_loudness
    from musiscene.media.packets import Packets, scan_packets
    from musiscene.media.probing import probe
    from musiscene.media.stretches import Stretch, iter_stretches
    from musiscene.media.waveforms import fit_duration, waveform_envelope, write_wav

_HOME = {
    "Audio": "audio",
    "downmix": "audio",
    "read_audio": "audio",
    "concatenate": "editing",
    "missing_end_s": "endings",
    "atomic_path": "files",
    "content_hash": "files",
    "Frames": "frames",
    "frame_times": "frame_times",
    "frames_at": "frames",
    "iter_frames": "frames",
    "iter_frames_at": "frames",
    "sample_frames": "frames",
    "Loudness": "loudness",
    "measure_loudness": "loudness",
    "normalize_loudness": "levelling",
    "Packets": "packets",
    "scan_packets": "packets",
    "Stretch": "stretches",
    "iter_stretches": "stretches",
    "probe": "probing",
    "fit_duration": "waveforms",
    "waveform_envelope": "waveforms",
    "write_wav": "waveforms",
}

__all__ = [
    "Audio",
    "Frames",
    "Loudness",
    "Packets",
    "Stretch",
    "atomic_path",
    "concatenate",
    "content_hash",
    "downmix",
    "fit_duration",
    "frame_times",
    "frames_at",
    "iter_frames",
    "iter_frames_at",
    "iter_stretches",
    "measure_loudness",
    "missing_end_s",
    "normalize_loudness",
    "probe",
    "read_audio",
    "sample_frames",
    "scan_packets",
    "waveform_envelope",
    "write_wav",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
