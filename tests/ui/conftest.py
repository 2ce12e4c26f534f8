"""A real clip of two seconds, and a desk with the real stages on an empty folder."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from musiscene.pipeline import Pipeline
from musiscene.settings import Settings
from musiscene.study.store import RatingStore
from musiscene.ui import launch_app
from musiscene.ui.desk import Desk

PERSON = "0123456789abcdef"


def write_clip(path: Path, *, seconds: float = 2.0, sound: bool = True) -> Path:
    """A moving gradient of 96 × 64 pixels at 10 fps with a chord of plucked tones."""
    rate = 22050
    with av.open(str(path), "w") as container:
        video = container.add_stream("h264", rate=10)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        audio = container.add_stream("aac", rate=rate, layout="mono") if sound else None
        columns = np.arange(96)
        for index in range(round(seconds * 10)):
            picture = np.zeros((64, 96, 3), np.uint8)
            picture[..., 0] = (columns * 2 + index * 9) % 256
            picture[..., 2] = 200 if index < seconds * 5 else 30
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode())
        if audio is not None:
            time_s = np.arange(round(seconds * rate)) / rate
            pulse = np.exp(-6 * (time_s % 0.5))
            wave = 0.2 * pulse * sum(np.sin(2 * np.pi * hz * time_s) for hz in (220.0, 261.63, 329.63))
            frame = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="fltp", layout="mono")
            frame.sample_rate = rate
            container.mux(audio.encode(frame))
            container.mux(audio.encode())
    return path


@pytest.fixture(scope="session")
def clip_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short video with sound."""
    return write_clip(tmp_path_factory.mktemp("clip") / "short clip.mp4")


@pytest.fixture(scope="session")
def silent_clip_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short video without a soundtrack."""
    return write_clip(tmp_path_factory.mktemp("clip") / "silent.mp4", sound=False)


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """The real stages; loaded once for all tests."""
    folder = tmp_path_factory.mktemp("settings")
    return Pipeline(Settings(data_dir=folder / "data", work_dir=folder / "work", profile="sketch"))


@pytest.fixture
def desk(pipeline: Pipeline, tmp_path: Path) -> Iterator[Desk]:
    """A desk on folders of its own."""
    settings = Settings(data_dir=tmp_path / "data", work_dir=tmp_path / "work", profile="sketch")
    store = RatingStore(settings.ratings_url)
    yield Desk(settings, pipeline, store)
    store.close()


@pytest.fixture(scope="module")
def run_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Starts a page on folders of its own with the settings that are given, and returns its address."""
    with ExitStack() as running:

        def start(**given: Any) -> str:
            folder = tmp_path_factory.mktemp("page")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            places = {"data_dir": folder / "data", "work_dir": folder / "work", "port": port}
            app = launch_app(replace(Settings(), profile="sketch", **places, **given), block=False)
            running.callback(app.close)
            return str(app.local_url)

        yield start
