"""What the browser is told of a comparison, and what it is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from musiscene import media
from musiscene.pipeline import CaptionReady, KindUnavailable, RenditionReady, StageProgress
from musiscene.study.store import summarize
from musiscene.types import Caption, CaptionKind, Rendition
from musiscene.ui import view
from musiscene.ui.caption_view import captions_view
from musiscene.ui.comparison import Comparison

PERSON, OTHER = "0123456789abcdef", "fedcba9876543210"


@pytest.fixture
def comparison(clip_path: Path, tmp_path: Path) -> Comparison:
    """A comparison of a real clip with four captions, before any soundtrack."""
    made = Comparison(tmp_path / "a-token-of-many-letters", media.probe(clip_path), "holiday.mp4")
    for kind in CaptionKind:
        made.apply(
            CaptionReady(Caption(kind, f"Words for {kind}.", "sketch", seconds=0.25, evidence={"tempo_bpm": 72.0}))
        )
    return made


def finish(comparison: Comparison, kind: CaptionKind) -> None:
    """A soundtrack of `kind` is ready."""
    folder = comparison.folder / "results"
    folder.mkdir(parents=True, exist_ok=True)
    audio = folder / f"{kind}.wav"
    media.write_wav(audio, np.full((1, 8000), 0.1, np.float32), 8000)
    caption = comparison.captions[kind]
    comparison.apply(
        RenditionReady(
            Rendition(kind, caption, "sketch", 4711, -16.04, -1.2, 1.0, 0.5, audio, audio.with_suffix(".mp4"))
        )
    )


def everything(comparison: Comparison, person: str) -> str:
    """All that `person` is sent, as text."""
    views = (
        view.source_view(comparison),
        view.progress_view(comparison, person),
        captions_view(comparison, person),
        view.player_view(comparison, person, ([summarize("msi", [1.0, 2.0])], [])),
    )
    return json.dumps(views)


def test_captions_are_shown_with_their_evidence_in_words(comparison: Comparison) -> None:
    """Units are taken from the names of the measurements."""
    card = captions_view(comparison, PERSON)["cards"]["music"]

    assert card["text"] == "Words for music."
    assert card["evidence"] == [["Tempo (BPM)", "72"]]
    assert card["seconds"] == "0.2 s"
    assert not card["edited"]


def test_measurements_read_like_words(comparison: Comparison) -> None:
    """What was not found and what only programs need is left out, and no time is told that rounds to nothing."""
    evidence = {"meter": None, "scene_id": "dragon-rise", "motion_word": "moderate", "loudness_range_lu": 0.8}
    comparison.apply(CaptionReady(Caption(CaptionKind.MSI, "Words.", "sketch", seconds=0.01, evidence=evidence)))

    card = captions_view(comparison, PERSON)["cards"]["msi"]

    assert card["evidence"] == [["Motion", "moderate"], ["Loudness range (LU)", "0.8"]]
    assert card["seconds"] == ""


def test_a_missing_caption_gives_its_reason(comparison: Comparison) -> None:
    """The reason is on the card of its kind, and the others stay."""
    comparison.captions = type(comparison.captions)(c for k, c in comparison.captions.items() if k != "msi")
    comparison.apply(KindUnavailable(CaptionKind.MSI, "There is no sound."))

    cards = captions_view(comparison, PERSON)["cards"]

    assert cards["msi"] == {"state": "unavailable", "reason": "There is no sound.", "imagine": None}
    assert cards["video"]["state"] == "ready"


def test_an_open_comparison_tells_all_as_it_comes(comparison: Comparison) -> None:
    """Each soundtrack is shown as soon as it is ready, with what it was made from."""
    comparison.plan_tracks(list(CaptionKind), 1, shuffle=False)
    comparison.work.busy, comparison.work.phase = True, "soundtracks"
    finish(comparison, CaptionKind.MUSIC)

    told = view.player_view(comparison, PERSON, ([summarize("msi", [1.0])], []))

    assert told["summaries"] is None  # what others think would colour what this person thinks

    assert [track["state"] for track in told["tracks"]] == ["waiting", "ready", "waiting", "waiting"]
    ready = told["tracks"][1]
    assert (ready["title"], ready["seed"], ready["loudness"], ready["prompt"]) == (
        "Music", 4711, "-16.0", "Words for music.",
    )  # fmt: skip
    assert [what for what, _ in ready["downloads"]] == ["mp4", "wav"]
    assert told["zip_url"] == ""


def test_a_blind_comparison_tells_nothing_before_all_is_rated(comparison: Comparison) -> None:
    """No kind, caption, backend, seed or summary is sent; the last rating reveals them, to that person only."""
    comparison.blind, comparison.options, comparison.seed = True, {"engine": "sketch", "blind": True}, 4711
    comparison.plan_tracks(list(CaptionKind), 1, shuffle=True)
    comparison.work.busy, comparison.work.phase = True, "soundtracks"
    comparison.apply(StageProgress("soundtrack", frozenset({CaptionKind.FUSION}), 0.5, "Composing for fusion"))
    finish(comparison, CaptionKind.FUSION)
    while_working = view.player_view(comparison, PERSON)
    assert not view.progress_view(comparison, PERSON)["comparable"]
    for kind in (CaptionKind.VIDEO, CaptionKind.MUSIC, CaptionKind.MSI):
        finish(comparison, kind)
    comparison.work.busy, comparison.work.phase = False, "done"

    # The first to be ready would be known by its time, so none is shown before all are.
    assert view.progress_view(comparison, PERSON)["comparable"]
    assert {track["state"] for track in while_working["tracks"]} == {"working"}
    for track in comparison.tracks[:3]:
        comparison.scores.setdefault(PERSON, {})[track.id] = {"score": 50, "comment": ""}
        told = everything(comparison, PERSON)
        for secret in ('"video"', '"music"', "fusion", "msi", "Words for", "sketch", "4711", "-16.0", "Scene"):
            assert secret not in told, secret
    assert view.player_view(comparison, PERSON)["to_rate"] == 1

    comparison.scores[PERSON][comparison.tracks[3].id] = {"score": 50, "comment": ""}
    assert "Words for msi." in everything(comparison, PERSON)
    assert "Words for" not in everything(comparison, OTHER)


def test_letters_are_shuffled_when_blind(comparison: Comparison) -> None:
    """Over many comparisons every kind gets every letter; shown in the order of letters either way."""
    seen = set()
    for _ in range(60):
        comparison.plan_tracks(list(CaptionKind), 1, shuffle=True)
        assert [track.letter for track in comparison.tracks] == ["A", "B", "C", "D"]
        seen |= {(track.kind, track.letter) for track in comparison.tracks}

    assert len(seen) == 16


def test_files_have_opaque_names(comparison: Comparison) -> None:
    """The names that the browser knows are random; others, and other folders, are not served."""
    comparison.plan_tracks(list(CaptionKind), 1, shuffle=True)
    finish(comparison, CaptionKind.VIDEO)
    track = next(track for track in comparison.tracks if track.rendition)

    assert comparison.public_file(f"{track.id}.wav") == comparison.folder / "results" / "video.wav"
    for name in ("video.wav", "../comparison.json", "comparison.json", f"{track.id}.json", "reference", ""):
        assert comparison.public_file(name) is None


def test_a_download_is_named_after_clip_and_caption_once_that_may_be_told(comparison: Comparison) -> None:
    """Before the reveal a saved file has its letter, afterwards its kind."""
    comparison.plan_tracks([CaptionKind.VIDEO], 1, shuffle=True)
    finish(comparison, CaptionKind.VIDEO)
    path = comparison.folder / "results" / "video.wav"

    comparison.blind = True
    assert view.download_name(comparison, path) == "holiday-A.wav"
    comparison.blind = False
    assert view.download_name(comparison, path) == "holiday-video.wav"


def test_progress_is_said_in_words_with_time_left_and_place_in_the_line(comparison: Comparison) -> None:
    """One line for each phase of the work."""
    comparison.work.busy, comparison.work.phase, comparison.work.ahead = True, "waiting", 2
    assert view.progress_view(comparison, PERSON)["text"] == "2 people are before you"

    comparison.work.phase, comparison.work.seconds_left = "captions", 75.0
    comparison.writing = {CaptionKind.MSI: 0.5}
    told = view.progress_view(comparison, PERSON)
    assert told["text"] == "Writing captions · 3 of 4 · about 1 min 15 s left"
    assert told["fraction"] == pytest.approx(0.875)


def test_no_clip_has_empty_views() -> None:
    """The page of a first visit."""
    assert view.source_view(None)["token"] == ""
    assert view.player_view(None, PERSON)["tracks"] == []
    assert {card["state"] for card in captions_view(None, PERSON)["cards"].values()} == {"empty"}


def test_facts_are_in_words(clip_path: Path) -> None:
    """Length, picture, sound and file of a clip."""
    facts = dict(view.facts(media.probe(clip_path)))

    assert facts["Length"] == "2 s"
    assert facts["Picture"].startswith("96 × 64, 10 fps, h264")
    assert facts["Sound"].startswith("22.05 kHz, mono, aac")
