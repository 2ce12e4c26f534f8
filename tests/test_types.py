"""The values that travel through the pipeline."""

import threading
from pathlib import Path

import numpy as np
import pytest

from musiscene.errors import ConfigError, Stopped
from musiscene.types import Caption, CaptionKind, CaptionSet, Clip, Job, Limits, Rendition, Soundtrack


def caption(kind: CaptionKind, text: str = "words") -> Caption:
    return Caption(kind, text, backend="test")


def test_caption_set_keeps_the_order_of_the_kinds() -> None:
    """However captions arrive, they are read in the order video, music, fusion, MSI."""
    captions = CaptionSet([caption(CaptionKind.MSI), caption(CaptionKind.VIDEO)]).adding(caption(CaptionKind.MUSIC))

    assert list(captions) == [CaptionKind.VIDEO, CaptionKind.MUSIC, CaptionKind.MSI]


def test_adding_a_caption_replaces_its_kind_in_a_new_set() -> None:
    """The set that was added to is unchanged."""
    before = CaptionSet([caption(CaptionKind.VIDEO, "old")])
    after = before.adding(caption(CaptionKind.VIDEO, "new"))

    assert before[CaptionKind.VIDEO].text == "old"
    assert after[CaptionKind.VIDEO].text == "new"


@pytest.mark.parametrize(
    ("rotation", "shown"), [(0, (640, 480)), (90, (480, 640)), (-90, (480, 640)), (180, (640, 480))]
)
def test_display_size_follows_the_rotation(rotation: int, shown: tuple[int, int]) -> None:
    """A viewer sees a quarter turn as exchanged sides."""
    clip = Clip(Path("a.mp4"), 1.0, True, False, width=640, height=480, rotation=rotation)

    assert clip.display_size == shown


def test_a_silent_track_is_no_sound() -> None:
    """An audio track of digital silence counts as audio, but there is nothing to hear."""
    clip = Clip(Path("a.mp4"), 1.0, True, True, audio_silent=True)

    assert clip.has_audio
    assert not clip.has_sound


def test_clip_document_has_the_documented_keys() -> None:
    """Programs rely on these names."""
    document = Clip(Path("a.mp4"), 1.0, True, False).as_dict()

    documented = "path duration_s has_video has_audio width height fps rotation sample_rate channels"
    assert set(documented.split()) <= set(document)


def test_a_stopped_job_ends_at_the_next_report() -> None:
    """Progress is also the place where a stage notices that it was stopped."""
    stop = threading.Event()
    seen: list[float] = []
    job = Job(report=lambda fraction, note: seen.append(fraction), stop=stop)
    job.progress(2.0)
    stop.set()

    with pytest.raises(Stopped):
        job.progress(0.5)
    assert seen == [1.0]


def test_limits_must_be_positive() -> None:
    """A limit of nothing would refuse everything; it is a mistake."""
    with pytest.raises(ConfigError, match="max_bytes"):
        Limits(max_bytes=0)


def test_rendition_paths_are_relative_to_the_folder_of_the_results() -> None:
    """A result folder can be moved."""
    folder = Path("results")
    made = Rendition(
        CaptionKind.MSI, caption(CaptionKind.MSI), "test", 1, -16.0, -1.2, 2.0, 0.1, audio=folder / "msi.wav"
    )

    document = made.as_dict(folder)

    assert document["audio"] == "msi.wav"
    assert document["video"] is None


def test_soundtrack_knows_its_length() -> None:
    """Seconds follow from samples and rate."""
    track = Soundtrack(np.zeros((2, 22050), np.float32), 44100, caption(CaptionKind.VIDEO), "test", 0)

    assert track.duration_s == 0.5
