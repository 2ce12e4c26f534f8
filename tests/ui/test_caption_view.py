"""How much of a caption is read, its brief, and the moments of a long clip."""

from __future__ import annotations

from pathlib import Path

import pytest

from musiscene import media
from musiscene.pipeline import CaptionReady
from musiscene.types import Caption, CaptionKind
from musiscene.ui import view
from musiscene.ui.caption_view import captions_view, reading
from musiscene.ui.comparison import Comparison
from musiscene.ui.files import make_poster, manifest

PERSON = "0123456789abcdef"
SENTENCE = "The strings play a slow and calm melody over a soft piano while the rain falls on the roofs of the town. "
LONG = (SENTENCE * 20).strip()
BRIEF = "Slow, calm strings over a soft piano."


def written(text: str, **evidence: object) -> Caption:
    """A fusion caption as a language model writes it."""
    return Caption(CaptionKind.FUSION, text, "llm", "merge them", evidence=evidence)


def test_the_arranger_reads_every_word() -> None:
    """Nothing is marked for it, however long a caption is."""
    assert reading(written(LONG), written(LONG), "sketch") is None


def test_a_long_caption_is_marked_where_musicgen_stops_reading_well() -> None:
    """The marks lie in the text, the one for reading less well before the one where it is cut."""
    marks = reading(written(LONG, music_brief=BRIEF), written(LONG, music_brief=BRIEF), "musicgen")

    assert marks is not None
    assert 0 < marks["until"] < marks["cut"] < len(LONG)
    assert (marks["brief"], marks["words"], marks["used"]) == (BRIEF, 7, False)
    assert reading(written("Short."), written("Short."), "musicgen") is None


def test_a_person_s_own_long_words_get_a_brief_too() -> None:
    """It is drawn from these words, not from the caption that they replace."""
    mine = written(LONG.replace("strings", "trumpets"))

    marks = reading(mine, written(LONG, music_brief=BRIEF), "musicgen")

    assert marks is not None and "trumpets" in marks["brief"] and marks["words"] <= 60


def test_a_brief_that_is_used_keeps_the_whole_caption(clip_path: Path, tmp_path: Path) -> None:
    """The soundtrack's caption says that it is a brief and of what; the manifest has both, with the prompt."""
    comparison = Comparison(tmp_path / "a-token-of-many-letters", media.probe(clip_path), "clip.mp4")
    comparison.apply(CaptionReady(written(LONG, music_brief=BRIEF, read_until=500)))

    comparison.captions = comparison.with_edits({"fusion": BRIEF})

    caption = comparison.captions[CaptionKind.FUSION]
    assert (caption.text, caption.backend, caption.evidence["full_caption"]) == (BRIEF, "edited", LONG)
    document = manifest(comparison)
    assert document["captions"]["fusion"]["text"] == BRIEF
    assert document["captions_as_written"]["fusion"]["text"] == LONG
    assert document["captions_as_written"]["fusion"]["prompt"] == "merge them"
    comparison.options = {"engine": "musicgen"}
    assert captions_view(comparison, PERSON)["cards"]["fusion"]["reading"] == {"used": True}


@pytest.mark.parametrize("broken", [None, "x", [{"start_s": 0}], [{"start_s": "a", "end_s": 1, "text": "x"}]])
def test_moments_that_are_none_are_left_out(clip_path: Path, tmp_path: Path, broken: object) -> None:
    """Whatever a captioner's evidence holds, the page is shown."""
    comparison = Comparison(tmp_path / "a-token-of-many-letters", media.probe(clip_path), "clip.mp4")
    comparison.apply(CaptionReady(Caption(CaptionKind.VIDEO, "A walk.", "x", evidence={"windows": broken})))

    assert view.windows(comparison) == []


def test_the_moments_of_a_clip_are_told_with_their_times(clip_path: Path, tmp_path: Path) -> None:
    """Each window with its words; one window alone is the caption itself; hidden while a comparison is blind."""
    comparison = Comparison(tmp_path / "a-token-of-many-letters", media.probe(clip_path), "clip.mp4")
    parts = [{"start_s": 0.0, "end_s": 1.0, "text": "A hill."}, {"start_s": 1.0, "end_s": 2.0, "text": "A town."}]
    evidence = {"windows": parts, "windows_seen": 2, "windows_in_clip": 9}
    comparison.apply(CaptionReady(Caption(CaptionKind.VIDEO, "A hill.", "swinbert", evidence=evidence)))

    card = captions_view(comparison, PERSON)["cards"]["video"]

    assert card["moments"] == parts
    assert card["moments_seen"] == "2 of 9 parts were looked at."
    comparison.blind = True
    assert captions_view(comparison, PERSON)["cards"] == {}


def test_a_poster_is_made_once(clip_path: Path, tmp_path: Path) -> None:
    """A JPEG of the clip, for a browser that cannot play it."""
    (tmp_path / "a-token-of-many-letters").mkdir()
    comparison = Comparison(tmp_path / "a-token-of-many-letters", media.probe(clip_path), "clip.avi")

    path = make_poster(comparison)

    assert path.read_bytes()[:3] == b"\xff\xd8\xff"
    before = path.stat().st_mtime_ns
    assert make_poster(comparison).stat().st_mtime_ns == before
