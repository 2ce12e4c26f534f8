"""What every backend that can run here promises, on the same small clip."""

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from musiscene.errors import RequestError, Stopped
from musiscene.media import probe
from musiscene.registry import BackendSpec, Pool, discover
from musiscene.types import Caption, CaptionKind, CaptionRequest, CaptionSet, Job, ScoreRequest


def usable(stage: str) -> list[object]:
    specs = [spec for spec in discover(stage) if spec.why_unavailable() is None]
    return [pytest.param(spec, id="-".join([spec.name, *sorted(spec.produces)])) for spec in specs]


GIVEN = CaptionSet(
    [
        Caption(CaptionKind.VIDEO, "A dog runs along a bright beach.", "test"),
        Caption(CaptionKind.MUSIC, "A fast, cheerful track in C major at 140 BPM.", "test"),
    ]
)


def request(spec: BackendSpec, clip: Path, seed: int = 0) -> CaptionRequest:
    facts = probe(clip)
    return CaptionRequest(spec.produces, facts, facts, GIVEN if spec.needs else CaptionSet(), seed)


@pytest.mark.parametrize("spec", usable("captions"))
def test_a_captioner_writes_what_it_was_asked_for(spec: BackendSpec, small_video: Path) -> None:
    """Each kind once, in sentences, under its own name, with evidence that JSON can hold."""
    captions = list(Pool().captioner(spec).describe(request(spec, small_video), Job()))

    assert {caption.kind for caption in captions} == spec.produces
    assert len(captions) == len(spec.produces)
    for caption in captions:
        assert caption.text[0].isupper() and caption.text.rstrip()[-1] in ".!?"
        assert caption.backend == spec.name
        assert caption.seconds >= 0
        json.dumps(dict(caption.evidence), allow_nan=False)


@pytest.mark.parametrize("spec", usable("captions"))
def test_a_captioner_says_the_same_again(spec: BackendSpec, small_video: Path) -> None:
    """The same clip and seed: the same words and evidence, from another object too."""
    first, again = (
        [(c.kind, c.text, dict(c.evidence)) for c in Pool().captioner(spec).describe(request(spec, small_video), Job())]
        for _ in range(2)
    )

    assert first == again


@pytest.mark.parametrize("spec", usable("captions"))
def test_a_captioner_stops_when_asked(spec: BackendSpec, small_video: Path) -> None:
    """Stopped before it begins, it yields nothing."""
    stop = threading.Event()
    stop.set()

    with pytest.raises(Stopped):
        list(Pool().captioner(spec).describe(request(spec, small_video), Job(stop=stop)))


@pytest.mark.parametrize("spec", usable("captions"))
def test_two_people_at_once_get_what_each_would_get_alone(spec: BackendSpec, small_video: Path) -> None:
    """One loaded backend, two threads."""
    captioner = Pool().captioner(spec)
    alone = [caption.text for caption in captioner.describe(request(spec, small_video, seed=3), Job())]
    got: dict[int, list[str]] = {}

    def ask(number: int) -> None:
        got[number] = [caption.text for caption in captioner.describe(request(spec, small_video, seed=3), Job())]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert got == {0: alone, 1: alone}


WORDS = Caption(CaptionKind.MSI, "The music is suitable for a scene of a slow farewell at a station.", "test")


@pytest.mark.parametrize("duration_s", [1.0, 2.345, 31.0])
@pytest.mark.parametrize("spec", usable("soundtracks"))
def test_a_generator_keeps_time(spec: BackendSpec, duration_s: float) -> None:
    """Exactly as many samples as asked, finite, audible, with the caption it was made from."""
    (track,) = Pool().generator(spec).generate([ScoreRequest(WORDS, duration_s, seed=4)], Job())

    assert track.waveform.dtype == np.float32
    assert track.waveform.shape[-1] == round(duration_s * track.sample_rate)
    assert np.isfinite(track.waveform).all()
    assert np.abs(track.waveform).max() > 0.01
    assert (track.caption, track.seed, track.backend) == (WORDS, 4, spec.name)
    json.dumps(dict(track.provenance), allow_nan=False)


@pytest.mark.parametrize("spec", usable("soundtracks"))
def test_a_generator_makes_the_same_again_and_another_for_another_seed(spec: BackendSpec) -> None:
    """Bytes for bytes; and takes differ."""
    requests = [ScoreRequest(WORDS, 4.0, seed=seed) for seed in (1, 1, 2)]
    first, again, other = Pool().generator(spec).generate(requests, Job())

    assert first.waveform.tobytes() == again.waveform.tobytes()
    assert first.midi == again.midi
    assert first.waveform.tobytes() != other.waveform.tobytes()


@pytest.mark.parametrize("spec", usable("soundtracks"))
def test_a_generator_stops_inside_its_work(spec: BackendSpec) -> None:
    """Ten minutes of music are not finished first."""
    stop = threading.Event()
    reports: list[float] = []

    def report(fraction: float, note: str) -> None:
        reports.append(time.monotonic())
        if len(reports) == 2:
            stop.set()

    with pytest.raises(Stopped):
        list(Pool().generator(spec).generate([ScoreRequest(WORDS, 600.0)], Job(report, stop)))
    assert len(reports) == 2


@pytest.mark.parametrize("duration_s", [0.0, -1.0, 601.0, float("nan")])
@pytest.mark.parametrize("spec", usable("soundtracks"))
def test_a_generator_refuses_a_length_that_cannot_be(spec: BackendSpec, duration_s: float) -> None:
    """In words."""
    with pytest.raises(RequestError):
        list(Pool().generator(spec).generate([ScoreRequest(WORDS, duration_s)], Job()))
