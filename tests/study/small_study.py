"""A small frozen study with made media; shared by tests and benchmarks."""

from __future__ import annotations

import tempfile
from pathlib import Path

import av
import numpy as np

from musiscene.media.waveforms import write_wav
from musiscene.mux import picture_only
from musiscene.study.bundle import Bundle
from musiscene.study.freezing import freeze

DESIGN = """
name = "tiny"
conditions = ["alphaone", "betatwo", "gammathree"]
trial = "{trial}"
seed = 7
[title]
en = "Music for clips"
[question]
en = "How well does it fit?"
[consent]
en = "You may stop at any time."
[items]
count = {count}
per_participant = {per}
[checks]
{checks}
[finish]
completion_code = "C0DE"
[[questions]]
id = "age"
kind = "number"
label.en = "How old are you?"
[[questions]]
id = "words"
kind = "text"
label.en = "Anything else?"
"""
ALL_CHECKS = (
    "practice = true\nvolume = true\nheadphones = true\nrepeat = 1\nanchor = 1\nreference = true\ninstructed = 1"
)


def design_text(trial: str = "rating", count: int = 4, per: int | None = None, checks: str = ALL_CHECKS) -> str:
    """A small design."""
    return DESIGN.format(trial=trial, count=count, per=per or count, checks=checks)


def make_renditions(root: Path, count: int = 5, duration_s: float = 1.0) -> Path:
    """`count` folders under `root`, as other tools leave them: a picture with sound, and a track for each condition."""
    for number in range(count):
        folder = root / f"secretclip{number}"
        folder.mkdir(parents=True)
        _write_video(folder / "picture.mp4", duration_s, _music(100 + number, duration_s), number)
        for place, condition in enumerate(("alphaone", "betatwo", "gammathree")):
            write_wav(folder / f"{condition}.wav", _music(10 * number + place, duration_s), 48_000)
    return root


def small_bundle(out: Path, items: int = 4, duration_s: float = 1.0, **options: object) -> Bundle:
    """A frozen study of `items` videos and one for practice, in the new folder `out`."""
    with tempfile.TemporaryDirectory() as folder:
        root = make_renditions(Path(folder), items + 1, duration_s)
        design = Path(folder) / "tiny.toml"
        design.write_text(design_text(count=items, **options), "utf-8")  # type: ignore[arg-type]
        return freeze(design, [root], out, write_picture=picture_only)


def _write_video(path: Path, duration_s: float, sound: np.ndarray, number: int) -> None:
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "secretclip alphaone"
        video = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        audio = container.add_stream("aac", rate=48_000)
        audio.layout = "stereo"
        for index in range(round(10 * duration_s)):
            image = np.full((64, 96, 3), (40 * number) % 256, np.uint8)
            image[:, index * 3 % 96 : index * 3 % 96 + 8] = 255
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), format="fltp", layout="stereo")
        frame.sample_rate = 48_000
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))


def _music(seed: int, duration_s: float) -> np.ndarray:
    """Three sines at a level of their own, `(2, samples)` float32."""
    generator = np.random.default_rng(seed)
    time_s = np.arange(round(duration_s * 48_000)) / 48_000
    notes = sum(np.sin(2 * np.pi * hz * time_s) for hz in generator.uniform(200, 900, 3))
    level = 10 ** (generator.uniform(-30, -8) / 20)
    return (level * np.stack([notes, notes]) / 3).astype(np.float32)
