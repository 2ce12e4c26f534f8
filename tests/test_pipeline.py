"""The stages in order, with stand-in backends: what runs when, what is said, how it ends."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from musiscene import pipeline as stages
from musiscene.errors import MediaError, MissingStreamError, RequestError, Stopped
from musiscene.pipeline import (
    CaptionReady,
    KindUnavailable,
    Pipeline,
    RenditionFailed,
    RenditionReady,
    ScoreOptions,
    StageProgress,
)
from musiscene.registry import BackendSpec
from musiscene.settings import Settings
from musiscene.sources import Sources, open_sources
from musiscene.types import (
    Caption,
    CaptionKind,
    CaptionRequest,
    CaptionSet,
    Clip,
    Job,
    Limits,
    ScoreRequest,
    Soundtrack,
)

VIDEO, MUSIC, FUSION, MSI = CaptionKind
PICTURE = Clip(Path("picture.mp4"), 4.0, has_video=True, has_audio=True, width=64, height=48, fps=10)
TRACK = Clip(Path("track.wav"), 9.0, has_video=False, has_audio=True, sample_rate=8000, channels=1)
RATE = 8000


class Words:
    """A captioner that says its kind, after `wait_s`, or fails with `error`."""

    def __init__(self, wait_s: float = 0.0, error: Exception | None = None) -> None:
        self.wait_s, self.error = wait_s, error
        self.asked: list[frozenset[CaptionKind]] = []
        self.stopped = False

    @property
    def idle(self) -> bool:
        """Never begun, or stopped inside its work."""
        return self.stopped or not self.asked

    def describe(self, request: CaptionRequest, job: Job) -> Iterator[Caption]:
        self.asked.append(request.kinds)
        end = time.monotonic() + self.wait_s
        while time.monotonic() < end:
            try:
                job.progress(0.5, "waiting")
            except Stopped:
                self.stopped = True
                raise
            time.sleep(0.01)
        if self.error:
            raise self.error
        for kind in CaptionKind:
            if kind in request.kinds:
                yield Caption(kind, f"about {kind}", "stand-in", evidence={"cuts_s": [1.0], "motion_curve": [0.5]})


class Tones:
    """A generator of tones that remembers what it was asked, and can fail at its second request."""

    def __init__(self, fail_second: bool = False) -> None:
        self.fail_second = fail_second
        self.asked: list[ScoreRequest] = []

    def generate(self, requests: Sequence[ScoreRequest], job: Job) -> Iterator[Soundtrack]:
        for index, request in enumerate(requests):
            job.progress(index / len(requests))
            if index == 1 and self.fail_second:
                raise MediaError("The second one is impossible.")
            self.asked.append(request)
            time_s = np.arange(round(request.duration_s * RATE)) / RATE
            wave = np.tile(0.1 * np.sin(2 * np.pi * 440 * time_s), (2, 1)).astype(np.float32)
            yield Soundtrack(wave, RATE, request.caption, "stand-in", request.seed, midi=b"MThd")


@pytest.fixture
def backends(monkeypatch: pytest.MonkeyPatch) -> dict[Any, Any]:
    """Stand-ins by kind (and "music" for the generator); a test may exchange them."""
    made: dict[Any, Any] = {VIDEO: Words(), MUSIC: Words(), FUSION: Words(), "tones": Tones()}
    made[MSI] = made[MUSIC]
    specs = {
        VIDEO: BackendSpec("v", lambda o: made[VIDEO], "", frozenset({VIDEO}), needs_picture=True),
        MUSIC: BackendSpec("m", lambda o: made[MUSIC], "", frozenset({MUSIC, MSI}), needs_sound=True),
        FUSION: BackendSpec("f", lambda o: made[FUSION], "", frozenset({FUSION}), needs=frozenset({VIDEO, MUSIC})),
    }
    specs[MSI] = specs[MUSIC]
    tones = BackendSpec("t", lambda o: made["tones"], "")
    monkeypatch.setattr(stages, "find_captioner", lambda kind, name: specs[kind])
    monkeypatch.setattr(stages, "find_generator", lambda name: tones)
    return made


@pytest.fixture
def pipeline(backends: dict[Any, Any]) -> Pipeline:
    return Pipeline(Settings(limits=Limits(max_score_s=60)))


def texts(events: list[Any]) -> Mapping[CaptionKind, str]:
    return {event.caption.kind: event.caption.text for event in events if isinstance(event, CaptionReady)}


def reasons(events: list[Any]) -> Mapping[CaptionKind, str]:
    return {event.kind: event.reason for event in events if isinstance(event, KindUnavailable)}


def test_a_video_with_sound_gets_all_four(pipeline: Pipeline, backends: dict[Any, Any]) -> None:
    """Fusion comes after what it is made from; music and MSI are one request of one backend."""
    events = list(pipeline.describe(open_sources(PICTURE)))

    ready = list(texts(events))
    assert set(ready) == set(CaptionKind)
    assert ready.index(FUSION) > max(ready.index(VIDEO), ready.index(MUSIC))
    assert backends[MUSIC].asked == [frozenset({MUSIC, MSI})]


def test_a_track_alone_gets_music_and_msi(pipeline: Pipeline) -> None:
    """What needs a picture is refused before anything runs, with the next step."""
    events = list(pipeline.describe(open_sources(TRACK)))

    assert set(texts(events)) == {MUSIC, MSI}
    assert "Upload a video" in reasons(events)[VIDEO]
    assert FUSION in reasons(events)


@pytest.mark.parametrize(
    ("clip", "words"),
    [
        (Clip(Path("a.mp4"), 4.0, True, False), "no audio track"),
        (Clip(Path("a.mp4"), 4.0, True, True, audio_silent=True), "digital silence"),
    ],
)
def test_a_silent_video_says_why_and_offers_a_track(pipeline: Pipeline, clip: Clip, words: str) -> None:
    """Only the picture is described; the others name the reason and the reference track."""
    events = list(pipeline.describe(open_sources(clip)))

    assert set(texts(events)) == {VIDEO}
    for kind in (MUSIC, FUSION, MSI):
        assert words in reasons(events)[kind]
        assert "reference track" in reasons(events)[kind]


def test_a_silent_video_with_a_track_gets_all_four(pipeline: Pipeline) -> None:
    """The reference track is what is heard."""
    events = list(pipeline.describe(open_sources(Clip(Path("a.mp4"), 4.0, True, False), TRACK)))

    assert set(texts(events)) == set(CaptionKind)


def test_nothing_to_see_or_hear_is_refused() -> None:
    """Neither picture nor sound: one sentence; nor can silence be the reference music."""
    silence = Clip(Path("hush.wav"), 4.0, False, True, audio_silent=True)

    with pytest.raises(MissingStreamError, match=r"hush\.wav"):
        open_sources(silence)
    with pytest.raises(MissingStreamError, match="digital silence"):
        open_sources(PICTURE, silence)


def test_a_failed_stage_never_hides_the_others(pipeline: Pipeline, backends: dict[Any, Any]) -> None:
    """The error becomes the reason of its kind, and of what is made from it."""
    backends[VIDEO] = Words(error=MediaError("The picture is torn."))
    events = list(pipeline.describe(open_sources(PICTURE)))

    assert set(texts(events)) == {MUSIC, MSI}
    assert reasons(events)[VIDEO] == "The picture is torn."
    assert "video caption" in reasons(events)[FUSION]


def test_a_defect_is_not_shown(pipeline: Pipeline, backends: dict[Any, Any]) -> None:
    """A person sees an id, not the exception."""
    backends[MUSIC] = Words(error=ZeroDivisionError("internals"))
    events = list(pipeline.describe(open_sources(PICTURE)))

    assert "internals" not in reasons(events)[MUSIC]
    assert "log" in reasons(events)[MSI]


def test_independent_stages_run_side_by_side(pipeline: Pipeline, backends: dict[Any, Any]) -> None:
    """Picture and sound are described at the same time: each waits until it has seen the other run."""
    barrier = threading.Barrier(2, timeout=5)

    class Meets(Words):
        def describe(self, request: CaptionRequest, job: Job) -> Iterator[Caption]:
            barrier.wait()
            yield from super().describe(request, job)

    backends[VIDEO], backends[MUSIC] = Meets(), Meets()

    assert set(texts(list(pipeline.describe(open_sources(PICTURE))))) == set(CaptionKind)


def test_results_are_given_as_they_are_ready(pipeline: Pipeline, backends: dict[Any, Any]) -> None:
    """A quick caption does not wait for a slow one."""
    backends[VIDEO] = Words(wait_s=30)
    events = pipeline.describe(open_sources(PICTURE))

    first = next(event for event in events if isinstance(event, CaptionReady))
    events.close()  # type: ignore[attr-defined]

    assert first.caption.kind is MUSIC
    assert backends[VIDEO].idle


def test_stop_reaches_a_stage_that_is_at_work(pipeline: Pipeline, backends: dict[Any, Any]) -> None:
    """Stopped from outside at its first report of progress."""
    backends[VIDEO] = Words(wait_s=30)
    stop = threading.Event()
    with pytest.raises(Stopped):
        for event in pipeline.describe(open_sources(PICTURE), kinds=frozenset({VIDEO}), stop=stop):
            if isinstance(event, StageProgress):
                stop.set()

    assert backends[VIDEO].stopped


def test_stop_ends_the_work_inside_a_stage(pipeline: Pipeline, backends: dict[Any, Any]) -> None:
    """The stage notices at its next report, and what was finished before stays."""
    backends[VIDEO] = Words(wait_s=30)
    stop = threading.Event()
    seen = []
    with pytest.raises(Stopped):
        for event in pipeline.describe(open_sources(PICTURE), stop=stop):
            seen.append(event)
            if isinstance(event, CaptionReady) and event.caption.kind is MSI:
                stop.set()

    assert MUSIC in texts(seen)
    assert backends[VIDEO].idle


def test_known_captions_are_used_and_not_made_again(pipeline: Pipeline, backends: dict[Any, Any]) -> None:
    """An edited caption goes into the fusion as it is."""
    known = CaptionSet([Caption(VIDEO, "edited", "edited"), Caption(MUSIC, "edited", "edited")])
    events = list(pipeline.describe(open_sources(PICTURE), kinds=frozenset({FUSION}), known=known))

    assert set(texts(events)) == {FUSION}
    assert backends[VIDEO].asked == []


def test_what_a_caption_is_made_from_is_made_too(pipeline: Pipeline) -> None:
    """Asking for the fusion alone brings its two sources."""
    assert set(texts(list(pipeline.describe(open_sources(PICTURE), kinds=frozenset({FUSION}))))) == {
        VIDEO,
        MUSIC,
        FUSION,
    }


# -- music -------------------------------------------------------------------------------------------------------

CAPTIONS = CaptionSet(
    Caption(kind, f"about {kind}", "stand-in", evidence={"cuts_s": [1.5], "motion_curve": [0.1, 0.9]})
    for kind in CaptionKind
)


def test_every_caption_gets_a_levelled_soundtrack(pipeline: Pipeline, tmp_path: Path) -> None:
    """Files are named by kind, loudness is the standard one, and notes are kept."""
    events = list(pipeline.score(Sources(None, TRACK), CAPTIONS, tmp_path, options=ScoreOptions(duration_s=2.0)))

    made = {event.rendition.kind: event.rendition for event in events if isinstance(event, RenditionReady)}
    assert set(made) == set(CaptionKind)
    for kind, rendition in made.items():
        assert rendition.audio == tmp_path / f"{kind}.wav"
        assert rendition.midi is not None and rendition.midi.read_bytes() == b"MThd"
        assert rendition.video is None
        assert rendition.loudness_lufs == pytest.approx(-16, abs=0.5)
        assert rendition.true_peak_dbtp <= -1
        assert rendition.duration_s == 2.0
    assert not list(tmp_path.glob("*.part*"))


def test_the_generator_is_told_what_the_picture_does(
    pipeline: Pipeline, backends: dict[Any, Any], tmp_path: Path
) -> None:
    """Cuts and motion come from the video caption's evidence, for every caption."""
    list(pipeline.score(Sources(None, TRACK), CAPTIONS, tmp_path, options=ScoreOptions(duration_s=1.0, seed=7)))

    assert {request.cuts_s for request in backends["tones"].asked} == {(1.5,)}
    assert {request.motion for request in backends["tones"].asked} == {(0.1, 0.9)}
    assert {request.seed for request in backends["tones"].asked} == {7}


def test_takes_count_their_seeds_up(pipeline: Pipeline, backends: dict[Any, Any], tmp_path: Path) -> None:
    """Take two of a kind has the next seed and a file of its own."""
    options = ScoreOptions(duration_s=1.0, seed=7, takes=2)
    kinds = frozenset({VIDEO})
    events = list(pipeline.score(Sources(None, TRACK), CAPTIONS, tmp_path, kinds=kinds, options=options))

    made = sorted(
        (e.rendition.take, e.rendition.seed, e.rendition.audio.name) for e in events if isinstance(e, RenditionReady)
    )
    assert made == [(1, 7, "video.wav"), (2, 8, "video-2.wav")]


def test_a_picture_that_browsers_do_not_play_is_encoded_once(
    pipeline: Pipeline, make_media: Callable[..., Path], tmp_path: Path
) -> None:
    """All soundtracks copy the one encoding, and nothing of it is left beside the results."""
    clip = pipeline.probe(make_media("old.webm", codec="libvpx", duration_s=2.0))
    out = tmp_path / "out"
    events = list(pipeline.score(Sources(clip, None, "no sound"), CAPTIONS, out))

    made = [event.rendition for event in events if isinstance(event, RenditionReady)]
    pictures = {_video_payload(rendition.video) for rendition in made if rendition.video}
    assert len(made) == 4
    assert len(pictures) == 1
    assert {path.suffix for path in out.iterdir()} == {".mp4", ".wav", ".mid"}
    assert len(list(out.iterdir())) == 12


def _video_payload(path: Path) -> bytes:
    with av.open(str(path)) as container:
        return b"".join(bytes(packet) for packet in container.demux(video=0))


def test_a_failed_soundtrack_keeps_the_finished_ones(
    pipeline: Pipeline, backends: dict[Any, Any], tmp_path: Path
) -> None:
    """The first stays; each of the others has the reason."""
    backends["tones"] = Tones(fail_second=True)
    events = list(pipeline.score(Sources(None, TRACK), CAPTIONS, tmp_path, options=ScoreOptions(duration_s=1.0)))

    assert [e.rendition.kind for e in events if isinstance(e, RenditionReady)] == [VIDEO]
    failed = {e.kind: e.reason for e in events if isinstance(e, RenditionFailed)}
    assert failed == dict.fromkeys((MUSIC, FUSION, MSI), "The second one is impossible.")


@pytest.mark.parametrize("duration_s", [0.0, -1.0, 61.0, float("nan")])
def test_a_duration_that_cannot_be_is_refused(pipeline: Pipeline, tmp_path: Path, duration_s: float) -> None:
    """The sentence says what is possible."""
    with pytest.raises(RequestError, match="1 to 60 seconds"):
        list(pipeline.score(Sources(None, TRACK), CAPTIONS, tmp_path, options=ScoreOptions(duration_s=duration_s)))


def test_music_is_as_long_as_the_picture(pipeline: Pipeline) -> None:
    """A track alone has no picture to be as long as; a very short clip still gets a second of music."""
    assert pipeline.score_duration(Sources(PICTURE, PICTURE), None) == 4.0
    assert pipeline.score_duration(Sources(None, TRACK), None) == 30.0
    assert pipeline.score_duration(Sources(Clip(Path("a.mp4"), 0.04, True, False), None), None) == 1.0


def test_no_caption_no_music(pipeline: Pipeline, tmp_path: Path) -> None:
    """Blank words are no caption."""
    with pytest.raises(RequestError, match="Describe the clip first"):
        list(pipeline.score(Sources(None, TRACK), CaptionSet([Caption(VIDEO, "  ", "edited")]), tmp_path))


@pytest.mark.parametrize("options", [{"takes": 0}, {"takes": 99}, {"seed": -1}, {"seed": 2**31}])
def test_options_out_of_range_are_refused(options: dict[str, int]) -> None:
    """When they are made, not when they are used."""
    with pytest.raises(RequestError):
        ScoreOptions(**options)  # type: ignore[arg-type]
