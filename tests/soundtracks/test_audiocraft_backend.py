"""The `audiocraft` backend: the package itself, in its own environment, with a tiny MusicGen of random weights."""

from __future__ import annotations

import fcntl
import json
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from musiscene.errors import BackendUnavailableError, RequestError, Stopped
from musiscene.media import probe, write_wav
from musiscene.registry import Pool
from musiscene.soundtracks._audiocraft import install
from musiscene.soundtracks.audiocraft import SPEC
from musiscene.types import Caption, CaptionKind, Clip, Job, ScoreRequest, Soundtrack

WORKER = Path(install.__file__).with_name("worker.py")


@pytest.fixture(scope="module")
def python() -> Path:
    """Interpreter of audiocraft's environment, which is built when it is not there."""
    folder = install.default_folder()
    with (Path(tempfile.gettempdir()) / "musiscene-audiocraft-build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may want it at once
        if not install.complete(folder):
            install.build(folder)
    return install.interpreter(folder)


@pytest.fixture(scope="module")
def tiny(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audiocraft")
    script = Path(__file__).with_name("tiny_audiocraft.py")
    subprocess.run([python, "-W", "ignore", script, WORKER, folder], check=True, capture_output=True)
    (folder / "model" / "weights.json").write_text('{"commit": "c0ffee"}', encoding="utf-8")  # as after a download
    return folder


@pytest.fixture(scope="module")
def generator(tiny: Path) -> Iterator[Any]:
    options = {"model": str(tiny / "model"), "text_encoder": tiny / "t5"}
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OMP_NUM_THREADS", "1")
        generator: Any = Pool(options={"audiocraft": options}).generator(SPEC)
        yield generator
        generator.close()


def asked(text: str, duration_s: float = 1.0, seed: int = 1, **more: Any) -> ScoreRequest:
    return ScoreRequest(Caption(CaptionKind.VIDEO, text, "test"), duration_s, seed, **more)


def made(generator: Any, *requests: ScoreRequest, job: Job | None = None) -> list[Soundtrack]:
    return list(generator.generate(requests, job or Job()))


@pytest.mark.slow
def test_the_package_makes_music_of_exactly_the_length_that_was_asked_for(generator: Any) -> None:
    """Two texts in one batch: a published checkpoint's layout, its own text encoder, progress, provenance."""
    seen: list[float] = []
    tracks = made(generator, asked("calm"), asked("a wild dance"), job=Job(lambda f, note: seen.append(f)))

    for track in tracks:
        assert track.waveform.shape == (1, 16000)
        assert track.waveform.dtype == np.float32
        assert np.abs(track.waveform).max() > 1e-4
        assert track.provenance["license"] == "CC-BY-NC-4.0"
        assert track.provenance["revision"] == "c0ffee"
        assert json.dumps(track.provenance)
    assert not np.array_equal(tracks[0].waveform, tracks[1].waveform)
    assert seen == sorted(seen)
    assert len(seen) > 40


@pytest.mark.slow
def test_a_row_of_audiocraft_does_not_depend_on_its_batch(generator: Any) -> None:
    """The same words and seed, alone and among others, long ones too; another seed is other music."""
    (alone,) = made(generator, asked("rain", seed=5))
    among = made(generator, asked("storms", seed=9), asked("rain", seed=5), asked("long words " * 9, seed=2))[1]
    (other,) = made(generator, asked("rain", seed=6))

    scale = float(np.abs(alone.waveform).max())
    np.testing.assert_allclose(among.waveform, alone.waveform, atol=1e-4 * scale)
    assert not np.allclose(other.waveform, alone.waveform, atol=1e-2 * scale)


@pytest.mark.slow
def test_audiocraft_goes_on_beyond_its_window_and_says_where(generator: Any) -> None:
    """21 s by a model of 20 s: the seam is in the provenance, and progress does not run back."""
    seen: list[float] = []
    (long,) = made(generator, asked("long", 21.0), job=Job(lambda f, note: seen.append(f)))

    assert long.waveform.shape == (1, 21 * 16000)
    assert long.provenance["seams_s"] == [20.0]
    assert np.abs(long.waveform[:, -16000:-8000]).max() > 0
    assert seen == sorted(seen)


@pytest.mark.slow
def test_audiocraft_is_heard_from_its_first_window_on(generator: Any) -> None:
    """Each row of a batch of 42 s: whole windows, in order, before the end; they are the samples of the result."""
    pieces: dict[int, list[Any]] = {0: [], 1: []}
    shares: list[float] = []
    when: list[float] = []

    def heard(number: int, piece: Any, sample_rate: int) -> None:
        assert sample_rate == 16000
        pieces[number].append(piece)
        when.append(shares[-1])

    job = Job(lambda fraction, note: shares.append(fraction), heard=heard)
    tracks = made(generator, asked("first", 42.0), asked("other", 42.0, seed=3), job=job)

    assert [len(of_row) for of_row in pieces.values()] == [2, 2]
    assert min(when) < 0.6
    for number, track in enumerate(tracks):
        told = np.concatenate(pieces[number], axis=-1)
        assert told.shape[-1] == round((38 - 16 / 50) * 16000)
        scale = float(np.abs(track.waveform).max())
        np.testing.assert_allclose(told, track.waveform[:, : told.shape[-1]], atol=1e-5 * scale)  # it fades later
    made(generator, asked("short", 1.0), job=Job(heard=heard))  # one window: nothing is told before the whole
    assert len(pieces[0]) == 2


@pytest.mark.slow
def test_audiocraft_stops_within_a_step_and_works_on(generator: Any) -> None:
    """After the third report; the process lives, and the next request is made."""
    stop, seen = threading.Event(), []

    def report(fraction: float, note: str) -> None:
        seen.append(fraction)
        if len(seen) == 3:
            stop.set()

    made(generator, asked("x"))
    process = generator._process
    with pytest.raises(Stopped):
        made(generator, asked("x", 3.0), job=Job(report, stop))
    assert len(made(generator, asked("x"))) == 1
    assert generator._process is process


@pytest.mark.slow
def test_a_process_that_died_is_told_and_started_anew(generator: Any) -> None:
    """Killed from outside while it works: a sentence, and the next request works."""

    def kill(fraction: float, note: str) -> None:
        generator._process._process.kill()

    made(generator, asked("x"))
    with pytest.raises(BackendUnavailableError, match="ended"):
        made(generator, asked("x", 3.0), job=Job(kill))
    assert len(made(generator, asked("x"))) == 1


@pytest.mark.slow
def test_what_audiocraft_cannot_do_is_said(generator: Any, tmp_path: Path) -> None:
    """A melody for a model without one, sections, a length out of range, weights that are none."""
    clip = Clip(tmp_path / "tune.wav", 1.0, False, True)
    with pytest.raises(RequestError, match="melody"):
        made(generator, asked("x", melody=clip))
    (generator._facts["melody"], before) = (True, generator._facts["melody"])
    write_wav(tmp_path / "silence.wav", np.zeros((2, 44100), np.float32), 44100)
    with pytest.raises(RequestError, match=r"silence\.wav is silent"):
        made(generator, asked("x", melody=probe(tmp_path / "silence.wav")))
    generator._facts["melody"] = before
    with pytest.raises(RequestError, match="one text"):
        made(generator, asked("x", overrides={"sections": [[1, "y"]]}))
    with pytest.raises(RequestError, match="600"):
        made(generator, asked("x", 601.0))

    for file in ("state_dict.bin", "compression_state_dict.bin"):
        (tmp_path / file).write_bytes(b"no weights")
    broken: Any = Pool(options={"audiocraft": {"model": str(tmp_path)}}).generator(SPEC)
    with pytest.raises(BackendUnavailableError, match="cannot load"):
        made(broken, asked("x"))


PARITY = """
import json, runpy, sys
runpy.run_path(sys.argv[1])["prepare"]()
import numpy as np
from transformers import MusicgenMelodyFeatureExtractor
for sounds in sys.argv[2:]:
    heard = MusicgenMelodyFeatureExtractor()(list(np.load(sounds)), sampling_rate=32000, return_tensors="np")
    np.save(sounds + ".heard.npy", heard["input_features"])
"""


@pytest.mark.slow
def test_parity_chroma_is_that_of_transformers(python: Path, tmp_path: Path) -> None:
    """The feature extractor itself, which needs torchaudio and finds it in that environment; short and long sounds."""
    import torch

    from musiscene.networks.musicgen.melody import chroma

    sounds = {tmp_path / f"{seconds}.npy": notes(seconds) for seconds in (0.2, 3.0, 30.0)}
    for file, sound in sounds.items():
        np.save(file, sound)
    subprocess.run([python, "-W", "ignore", "-c", PARITY, WORKER, *sounds], check=True, capture_output=True)

    for file, sound in sounds.items():
        heard = np.load(file.with_name(f"{file.name}.heard.npy"))
        np.testing.assert_array_equal(chroma(torch.from_numpy(sound)).numpy(), heard, err_msg=file.name)


def notes(seconds: float) -> np.ndarray:
    """Two rows of random notes and noise at 32 kHz."""
    random = np.random.default_rng(3)
    time = np.arange(round(seconds * 32000)) / 32000
    sound = random.normal(0, 0.05, (2, time.size))
    for row in sound:
        for start in np.arange(0, seconds, 0.25):
            pitch = 110 * 2 ** (random.integers(0, 48) / 12)
            row += np.where((time >= start) & (time < start + 0.4), np.sin(2 * np.pi * pitch * time), 0)
    return sound.astype(np.float32)


def test_a_missing_environment_is_explained(tmp_path: Path) -> None:
    """Why it is apart, where it is looked for, and the command that builds it."""
    reason = SPEC.why_unavailable({"environment": tmp_path / "nothing"})

    assert reason
    assert "make audiocraft" in reason
    assert str(tmp_path / "nothing") in reason
