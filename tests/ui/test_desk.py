"""The desk does a comparison's work in the background and keeps it apart from all others."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from musiscene.errors import MissingStreamError, RequestError, StorageError
from musiscene.settings import Settings
from musiscene.types import CaptionKind
from musiscene.ui.choices import Choices
from musiscene.ui.comparison import Comparison
from musiscene.ui.comparison_file import document_of
from musiscene.ui.desk import Desk

PERSON = "0123456789abcdef"
CHOICES = Choices(duration_s=1.5, seed=7)


def finish(desk: Desk, comparison: Comparison) -> Comparison:
    """Follow the work to its end."""
    for _ in desk.follow(comparison, interval_s=0.02):
        pass
    return comparison


def scored(desk: Desk, path: Path, choices: Choices = CHOICES) -> Comparison:
    """A comparison of the clip at `path`, all done."""
    comparison = desk.open_file(path, path.name)
    return finish(desk, desk.start(comparison, choices, describe=True, score=True))


def test_one_press_gives_four_captions_and_four_soundtracks(desk: Desk, clip_path: Path) -> None:
    """Describe and score in one go: every kind has a caption, a sound file and a video."""
    comparison = scored(desk, clip_path)

    assert set(comparison.captions) == set(CaptionKind)
    assert [track.state for track in comparison.tracks] == ["ready"] * 4
    assert [track.letter for track in comparison.tracks] == ["A", "B", "C", "D"]
    assert [track.kind for track in comparison.tracks] == list(CaptionKind)
    for track in comparison.tracks:
        assert track.rendition is not None and track.rendition.video is not None
        assert track.rendition.video.is_file()
        assert max(track.peaks) == 100
    assert comparison.original["is_reference"] is False


def test_a_locked_seed_gives_the_same_bytes(desk: Desk, clip_path: Path) -> None:
    """The same words and seed make the same sound, byte for byte; another seed makes another."""
    choices = replace(CHOICES, kinds=frozenset({CaptionKind.VIDEO}))
    first = scored(desk, clip_path, choices)
    again = finish(desk, desk.start(first, choices, describe=False, score=True))
    other = finish(desk, desk.start(first, replace(choices, seed=8), describe=False, score=True))

    def sound(comparison: Comparison) -> bytes:
        rendition = comparison.tracks[0].rendition
        assert rendition is not None
        return rendition.audio.read_bytes()

    assert again.token != first.token  # what was rated stays as it was
    assert sound(again) == sound(first) != sound(other)
    assert other.seed == 8


def test_an_edited_caption_is_what_the_music_is_made_from(desk: Desk, clip_path: Path) -> None:
    """The edit travels with the press of the button; the clip is not described again."""
    kinds = frozenset({CaptionKind.VIDEO})
    comparison = desk.open_file(clip_path, clip_path.name)
    finish(desk, desk.start(comparison, replace(CHOICES, kinds=kinds), describe=True, score=False))
    edits = {"video": "A slow  waltz for\n two cellos"}

    finish(desk, desk.start(comparison, replace(CHOICES, kinds=kinds), describe=False, score=True, edits=edits))

    rendition = comparison.tracks[0].rendition
    assert rendition is not None
    assert rendition.caption.text == "A slow waltz for two cellos"
    assert comparison.captions[CaptionKind.VIDEO].backend == "edited"
    assert comparison.written[CaptionKind.VIDEO].backend == "sketch"


def test_describing_again_keeps_what_a_person_wrote(desk: Desk, clip_path: Path) -> None:
    """An edited caption is used for the fusion, not written over."""
    comparison = desk.open_file(clip_path, clip_path.name)
    finish(desk, desk.start(comparison, CHOICES, describe=True, score=False))
    edits = {"music": "A lonely trumpet in D minor at 60 BPM."}

    finish(desk, desk.start(comparison, CHOICES, describe=True, score=False, edits=edits))

    assert comparison.captions[CaptionKind.MUSIC].text == edits["music"]
    assert comparison.captions[CaptionKind.VIDEO].backend == "sketch"


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 2001])
def test_an_unusable_edit_changes_nothing(desk: Desk, clip_path: Path, text: str) -> None:
    """An empty or endless caption is refused in words before anything is done."""
    comparison = desk.open_file(clip_path, clip_path.name)
    finish(desk, desk.start(comparison, CHOICES, describe=True, score=False))
    before = comparison.captions

    with pytest.raises(RequestError, match=r"Video caption|characters"):
        desk.start(comparison, CHOICES, describe=False, score=True, edits={"video": text})

    assert comparison.captions is before
    assert not comparison.work.busy


def test_a_silent_clip_says_why_captions_are_missing(desk: Desk, silent_clip_path: Path) -> None:
    """What cannot be made is a reason beside the others, and a reference track makes it possible."""
    comparison = scored(desk, silent_clip_path)

    assert set(comparison.captions) == {CaptionKind.VIDEO}
    assert "reference track" in comparison.unavailable[CaptionKind.MUSIC]
    assert [track.kind for track in comparison.tracks] == [CaptionKind.VIDEO]
    assert comparison.original == {}


@pytest.mark.slow(seconds=2)
def test_a_reference_track_takes_the_place_of_the_sound(desk: Desk, silent_clip_path: Path, clip_path: Path) -> None:
    """With it a silent video gets all four, and the track can be listened to in the comparison."""
    comparison = desk.open_file(silent_clip_path, silent_clip_path.name)

    comparison = desk.set_reference(comparison, clip_path, "tune.mp4")
    finish(desk, desk.start(comparison, CHOICES, describe=True, score=True))

    assert set(comparison.captions) == set(CaptionKind)
    assert comparison.original["is_reference"] is True


def test_a_silent_reference_is_refused_and_the_clip_stays(desk: Desk, clip_path: Path, silent_clip_path: Path) -> None:
    """A track without sound cannot be described; the sentence says so and nothing changes."""
    comparison = desk.open_file(clip_path, clip_path.name)

    with pytest.raises(MissingStreamError):
        desk.set_reference(comparison, silent_clip_path, "silent.mp4")

    assert comparison.reference is None


def test_a_file_that_cannot_be_used_leaves_nothing_behind(desk: Desk, tmp_path: Path) -> None:
    """The folder of a refused upload is removed."""
    (tmp_path / "notes.mp4").write_text("this is no video")

    with pytest.raises(Exception, match="notes"):
        desk.open_file(tmp_path / "notes.mp4", "notes.mp4")

    assert list(desk.settings.work_dir.iterdir()) == []


@pytest.mark.slow(seconds=2)
def test_stopping_one_persons_work_leaves_the_others_alone(desk: Desk, clip_path: Path) -> None:
    """Stop ends this comparison's work; what was finished stays; the other one finishes."""
    mine = desk.open_file(clip_path, "mine.mp4")
    theirs = desk.open_file(clip_path, "theirs.mp4")
    desk.start(mine, replace(CHOICES, duration_s=600.0), describe=True, score=True)
    desk.start(theirs, CHOICES, describe=True, score=True)
    while not mine.captions and mine.work.busy:
        time.sleep(0.01)

    desk.stop(mine)
    finish(desk, mine)
    finish(desk, theirs)

    assert mine.work.phase == "stopped"
    assert len(mine.captions) >= 1
    assert theirs.work.phase == "done"
    assert len(theirs.tracks) == 4


def test_work_that_nobody_waits_for_is_stopped(desk: Desk, clip_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing the page frees the machine, after a time in which a reload finds the work going on."""
    monkeypatch.setattr("musiscene.ui.desk.ABANDONED_AFTER_S", 0.05)
    comparison = desk.open_file(clip_path, clip_path.name)
    desk.start(comparison, replace(CHOICES, duration_s=600.0), describe=True, score=True)

    follower = desk.follow(comparison)
    next(follower)
    follower.close()  # what Gradio does when a page goes away
    for _ in range(600):
        if not comparison.work.busy:
            break
        time.sleep(0.05)

    assert comparison.work.phase == "stopped"


def test_a_comparison_can_be_opened_again_from_its_folder(desk: Desk, clip_path: Path) -> None:
    """After a restart of the server everything is as it was: captions, soundtracks, ratings, options."""
    first = scored(desk, clip_path)
    desk.rate(first, PERSON, first.tracks[1].id, 80, "yes")

    again = Desk(desk.settings, desk.pipeline, desk.store).find(first.token)

    assert again is not first
    assert document_of(again) == document_of(first)
    assert [track.rendition for track in again.tracks] and again.scores[PERSON][first.tracks[1].id]["score"] == 80


@pytest.mark.parametrize("token", ["", "..", "../../etc", "a" * 22, "x/y", "\0"])
def test_an_unknown_token_opens_nothing(desk: Desk, token: str) -> None:
    """A token is a name of 16 or more letters that cannot be guessed; anything else says that nothing is kept."""
    with pytest.raises(StorageError, match="removed"):
        desk.find(token)


@pytest.mark.slow(seconds=2)
def test_a_rating_is_kept_with_everything_it_takes_to_make_the_music_again(desk: Desk, clip_path: Path) -> None:
    """Clip, caption, backend, seed and loudness are stored with the score; a changed mind changes the row."""
    comparison = scored(desk, clip_path)
    track = comparison.tracks[2]

    desk.rate(comparison, PERSON, track.id, 30, "too loud")
    desk.rate(comparison, PERSON, track.id, 55, "")

    (stored,) = desk.store.all()
    assert (stored.score, stored.comment, stored.caption_kind) == (55, "", "fusion")
    assert stored.clip_hash == comparison.clip_hash and stored.clip_name == clip_path.name
    assert stored.seed == 7 and stored.loudness_lufs == pytest.approx(-16, abs=0.6)
    assert stored.caption_text == comparison.captions[CaptionKind.FUSION].text


def test_a_rating_of_another_comparison_is_refused(desk: Desk, clip_path: Path) -> None:
    """Only soundtracks of this comparison can be rated in it."""
    comparison = desk.open_file(clip_path, clip_path.name)

    with pytest.raises(RequestError, match="not part"):
        desk.rate(comparison, PERSON, "0" * 16, 50, "")


def test_two_presses_at_once_start_one_piece_of_work(desk: Desk, clip_path: Path) -> None:
    """A second press says that the clip is being worked on."""
    comparison = desk.open_file(clip_path, clip_path.name)
    desk.start(comparison, CHOICES, describe=True, score=False)

    with pytest.raises(RequestError, match="Stop"):
        desk.start(comparison, CHOICES, describe=True, score=False)
    finish(desk, comparison)


def test_files_are_removed_when_their_time_is_over(desk: Desk, clip_path: Path) -> None:
    """Ratings stay; the clip, its results and its token are gone, and the page is told how long files are kept."""
    comparison = desk.open_file(clip_path, clip_path.name)
    old = time.time() - desk.settings.keep_files_s - 60
    os.utime(comparison.folder, (old, old))

    assert desk.clean() == 1

    with pytest.raises(StorageError, match="24 hours"):
        desk.find(comparison.token)


def test_deleting_a_comparison_removes_its_files(desk: Desk, clip_path: Path) -> None:
    """Forget means now."""
    comparison = desk.open_file(clip_path, clip_path.name)

    desk.forget(comparison.token)

    assert not comparison.folder.exists()


def test_people_work_on_the_same_file_at_once(desk: Desk, clip_path: Path) -> None:
    """Two uploads of one file are two comparisons with different tokens."""
    opened: list[Comparison] = []
    threads = [
        threading.Thread(target=lambda: opened.append(desk.open_file(clip_path, clip_path.name))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({comparison.token for comparison in opened}) == 4
    assert isinstance(desk.settings, Settings)


def test_a_tune_is_followed_where_there_is_one_and_somebody_who_can(
    desk: Desk, clip_path: Path, silent_clip_path: Path
) -> None:
    """A generator that hears no tune, and a clip without one, are refused in words before anything is done."""
    with_sound = desk.open_file(clip_path, clip_path.name)
    with pytest.raises(RequestError, match="sketch cannot follow a tune"):
        desk.start(with_sound, replace(CHOICES, melody=True), describe=True, score=True)

    silent = desk.open_file(silent_clip_path, silent_clip_path.name)
    with pytest.raises(RequestError, match="no tune to follow"):
        desk.start(silent, replace(CHOICES, melody=True, generator="musicgen"), describe=True, score=True)

    assert not with_sound.work.busy and not silent.work.busy
