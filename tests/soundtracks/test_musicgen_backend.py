"""The `musicgen` backend with a tiny random MusicGen in the published layout."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from musiscene.errors import BackendUnavailableError, RequestError, Stopped
from musiscene.networks.musicgen.random_model import random_musicgen, save_with_tokenizer
from musiscene.registry import MusicGenerator, Pool
from musiscene.soundtracks._musicgen.windows import Window, text_at, windows
from musiscene.soundtracks.musicgen import SPEC
from musiscene.types import Caption, CaptionKind, Job, ScoreRequest, Soundtrack


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """Two threads on busy cores wait for each other more than they work."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_with_tokenizer(random_musicgen("tiny"), tmp_path_factory.mktemp("musicgen"))


@pytest.fixture(scope="module")
def generator(folder: Path) -> MusicGenerator:
    return Pool(options={"musicgen": {"model": folder}}).generator(SPEC)


def asked(text: str, duration_s: float = 1.0, seed: int = 1, **overrides: Any) -> ScoreRequest:
    return ScoreRequest(Caption(CaptionKind.VIDEO, text, "test"), duration_s, seed, overrides=overrides)


def made(generator: MusicGenerator, *requests: ScoreRequest, job: Job | None = None) -> list[Soundtrack]:
    return list(generator.generate(requests, job or Job()))


def test_every_request_gets_music_of_exactly_its_length(generator: MusicGenerator) -> None:
    """In order, whatever the mixture of lengths; not silence, and of its own for each text."""
    requests = [asked("calm", 0.7), asked("wild", 0.7), asked("long", 1.33)]
    tracks = made(generator, *requests)

    assert [track.caption.text for track in tracks] == ["calm", "wild", "long"]
    for track, request in zip(tracks, requests, strict=True):
        assert track.waveform.shape == (1, round(request.duration_s * 16000))
        assert track.waveform.dtype == np.float32
        assert np.abs(track.waveform).max() > 1e-3
    assert not np.array_equal(tracks[0].waveform, tracks[1].waveform)


def test_the_same_words_and_seed_are_the_same_music_in_any_batch(generator: MusicGenerator) -> None:
    """Alone or among others; another seed is other music."""
    (alone,) = made(generator, asked("rain", seed=5))
    among = made(generator, asked("a storm at sea", seed=9), asked("rain", seed=5))[1]
    (other,) = made(generator, asked("rain", seed=6))

    np.testing.assert_allclose(among.waveform, alone.waveform, atol=1e-5)
    assert not np.allclose(other.waveform, alone.waveform, atol=1e-3)


def test_longer_than_a_window_goes_on_and_says_where(generator: MusicGenerator) -> None:
    """31 s are two windows with a seam at 30 s; 30 s are one."""
    (one, two) = made(generator, asked("x", 30.0), asked("x", 31.0))

    assert one.provenance["seams_s"] == []
    assert two.provenance["seams_s"] == [30.0]
    assert two.waveform.shape[-1] == 31 * 16000
    np.testing.assert_allclose(two.waveform[:, : 20 * 16000], one.waveform[:, : 20 * 16000], atol=1e-4)


def test_stop_ends_within_a_step_and_progress_reaches_the_end(generator: MusicGenerator) -> None:
    """Stopped after the third report; nothing is yielded."""
    stop, seen = threading.Event(), []

    def report(fraction: float, note: str) -> None:
        seen.append(fraction)
        if len(seen) == 3:
            stop.set()

    with pytest.raises(Stopped):
        made(generator, asked("x", 2.0), job=Job(report, stop))
    assert len(seen) == 3

    seen.clear()
    made(generator, asked("x", 0.5), job=Job(lambda fraction, note: seen.append(fraction)))
    assert seen == sorted(seen)
    assert seen[-1] >= 0.95


def test_a_batch_that_does_not_fit_is_split(generator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of memory with more than two rows: the same music, in smaller batches."""
    requests = [asked(f"text {i}", seed=i) for i in range(4)]
    whole = made(generator, *requests)
    make, sizes = generator._make, []

    def small_memory(batch: list[ScoreRequest], *rest: Any) -> Any:
        sizes.append(len(batch))
        if len(batch) > 2:
            raise MemoryError
        return make(batch, *rest)

    monkeypatch.setattr(generator, "_make", small_memory)
    split = made(generator, *requests)

    assert sizes == [4, 2, 2]
    for a, b in zip(whole, split, strict=True):
        np.testing.assert_allclose(a.waveform, b.waveform, atol=1e-5)


def test_sections_change_the_text_from_the_next_window_on(generator: MusicGenerator) -> None:
    """They are kept in the provenance; nonsense is refused."""
    (track,) = made(generator, asked("x", 0.5, sections=[[0, "calm"], [20, "wild"]]))

    assert track.provenance["sections"] == [[0.0, "calm"], [20.0, "wild"]]
    with pytest.raises(RequestError, match="Sections"):
        made(generator, asked("x", 0.5, sections=["calm"]))


@pytest.mark.parametrize("duration_s", [0.0, 601.0, float("nan")])
def test_a_duration_out_of_range_is_refused(generator: MusicGenerator, duration_s: float) -> None:
    """Before anything is computed."""
    with pytest.raises(RequestError):
        made(generator, asked("x", duration_s))


def test_a_stereo_model_makes_stereo(tmp_path: Path) -> None:
    """Two channels that differ."""
    folder = save_with_tokenizer(random_musicgen("tiny", channels=2), tmp_path)
    (track,) = made(Pool(options={"musicgen": {"model": folder}}).generator(SPEC), asked("wide", 0.5))

    assert track.waveform.shape == (2, 8000)
    assert not np.allclose(*track.waveform)


def test_missing_and_broken_weights_are_said_in_words(tmp_path: Path, folder: Path) -> None:
    """Absent: the command that fetches them. Truncated or of another shape: which folder."""
    absent = SPEC.why_unavailable({"weights_dir": tmp_path})
    assert absent and "musiscene weights download musicgen-small" in absent

    broken = tmp_path / "broken"
    broken.mkdir()
    for file in folder.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    (broken / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:5000])
    with pytest.raises(BackendUnavailableError, match="broken"):
        Pool(options={"musicgen": {"model": broken}}).generator(SPEC)

    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    state.pop("decoder.lm_heads.1.weight")
    save_file(state, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BackendUnavailableError, match=r"lm_heads\.1"):
        Pool(options={"musicgen": {"model": broken}}).generator(SPEC)


def test_windows_cover_every_frame_once() -> None:
    """30 s exactly is one window; each later one goes on from 10 s of the music before it."""
    assert windows(1500, 50) == [Window(0, 0, 1500)]
    assert windows(1501, 50) == [Window(0, 0, 1500), Window(1000, 1500, 1501)]
    long = windows(30_000, 50)
    assert [w.known for w in long[1:]] == [w.end for w in long[:-1]]
    assert all(w.end - w.start <= 1500 for w in long)
    assert long[-1].end == 30_000


def test_the_text_of_a_moment_is_that_of_the_section_it_is_in() -> None:
    """Before the first section it is the caption's."""
    sections = [(20.0, "wild"), (10.0, "calm")]

    assert [text_at(sections, t, "caption") for t in (0, 10, 19, 20, 99)] == ["caption", "calm", "calm", "wild", "wild"]
