"""Pictures and sounds of a showcase: small, in formats that every browser plays, and free of the sources' tags."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path
from typing import Any

import av
import numpy as np

from musiscene import media
from musiscene.errors import MusisceneError
from musiscene.media.encoding import AUDIO_BIT_RATE, AUDIO_RATE, encode_aac
from musiscene.media.files import atomic_path
from musiscene.media.mixing import MAX_TRUE_PEAK_DBTP
from musiscene.types import Clip, Job, Waveform

PEAKS = 140
"""Bars of a waveform."""

_POSTER_SIDE = 1280
_POSTER_AT = 0.35


def read_stereo(path: Path, duration_s: float | None = None) -> Waveform:
    """The sound of a file, `(2, samples)` at 48 kHz."""
    audio = media.read_audio(media.probe(path), stereo=True, sample_rate=AUDIO_RATE, duration_s=duration_s)
    return audio.waveform


def bars(waveform: Waveform, ceiling: float) -> list[int]:
    """Height of the sound in `PEAKS` bars, 0 to 100 of `ceiling`."""
    heights = np.abs(media.waveform_envelope(waveform, PEAKS)).max(axis=1)
    return [round(100 * min(1.0, float(height) / ceiling)) if ceiling > 0 else 0 for height in heights]


def write_m4a(sound: Path | Waveform, out: Path, job: Job) -> None:
    """Write AAC in MP4, which `decodeAudioData` of every browser reads.

    Args:
        sound: A video of `musiscene compare`, whose sound is copied as it is, or a waveform, which is encoded.
        out: The file.
        job: Asked to stop while encoding.
    """
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with atomic_path(out) as part, av.open(str(part), "w", format="mp4", options=options) as container:
        if isinstance(sound, Path):
            with av.open(str(sound)) as source:
                given = source.streams.audio[0]
                copied = container.add_stream_from_template(given)
                for packet in source.demux(given):
                    if packet.dts is not None:
                        packet.stream = copied
                        container.mux(packet)
            return
        stream: Any = container.add_stream("aac", rate=AUDIO_RATE, bit_rate=AUDIO_BIT_RATE)
        stream.layout = "stereo"
        for packet in encode_aac(sound, MAX_TRUE_PEAK_DBTP, job):
            packet.stream = stream
            container.mux(packet)


def write_sound_script(name: str, sounds: dict[str, Path], out: Path) -> None:
    """Write sounds as a script: from `file://` a browser runs scripts but fetches nothing."""
    with atomic_path(out) as part, part.open("w", encoding="ascii") as file:
        for track, path in sounds.items():
            file.write(f'musisceneSound("{name}","{track}","')
            file.write(base64.b64encode(path.read_bytes()).decode("ascii"))
            file.write('");\n')


def copy_into(source: Path, out: Path) -> None:
    """Copy a file; it appears when it is complete."""
    with atomic_path(out) as part:
        shutil.copyfile(source, part)


def write_poster(path: Path, out: Path) -> tuple[int, int] | None:
    """Write a JPEG of one picture of a video; say its width and height, or None where it cannot be decoded."""
    from PIL import Image

    try:
        clip: Clip = media.probe(path)
        images = media.frames_at(clip, [_POSTER_AT * clip.duration_s], max_side=_POSTER_SIDE).images
    except MusisceneError:
        return None
    image = Image.fromarray(images[0])
    with atomic_path(out) as part:
        image.save(part, "JPEG", quality=86)
    return image.size
