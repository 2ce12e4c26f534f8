"""The panel of measured scores: what it says of real soundtracks, and when it says nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musiscene import evaluation
from musiscene.captions.sketch_video import SPEC
from musiscene.media import probe
from musiscene.settings import Settings
from musiscene.types import Caption, CaptionKind, CaptionSet, Rendition
from musiscene.ui.comparison import Comparison, Track
from musiscene.ui.scores_panel import ClipMeter
from musiscene.ui.texts import ENGLISH, LANGUAGES


@pytest.fixture
def comparison(make_media: Callable[..., Path], tmp_path: Path) -> Comparison:
    """A clip of 10 s with cuts and motion in its evidence, and one finished soundtrack."""
    clip = probe(make_media("clip.mp4", duration_s=10.0))
    made = Comparison(tmp_path, clip, "clip.mp4")
    evidence = {"cuts_s": [2.0, 4.0, 6.0], "motion_curve": list(np.linspace(0, 1, 20))}
    made.captions = CaptionSet([Caption(CaptionKind.VIDEO, "Shapes.", SPEC.name, evidence=evidence)])
    time = np.arange(10 * 22_050) / 22_050
    clicks = np.exp(-30 * (time % 0.5)) * np.sin(2 * np.pi * 200 * time)
    soundfile.write(tmp_path / "a.wav", 0.6 * clicks * (0.2 + 0.08 * time), 22_050)
    caption = Caption(CaptionKind.MSI, "A parade.", "test")
    rendition = Rendition(CaptionKind.MSI, caption, "test", 1, -16.0, -1.0, 10.0, 0.1, tmp_path / "a.wav")
    made.tracks = [Track("x", "A", CaptionKind.MSI, 1, "ready", 1.0, rendition=rendition)]
    return made


@pytest.mark.slow
def test_scores_of_a_soundtrack(comparison: Comparison, tmp_path: Path) -> None:
    """Without weights the picture-and-music measures are shown; columns that need weights are left out."""
    meter = ClipMeter(Settings(data_dir=tmp_path / "data"))
    *_, table = meter.report(comparison, "somebody", ENGLISH)
    head = table.splitlines()[0]
    assert ENGLISH["scores_energy"] in head
    assert ENGLISH["scores_words"] not in head and ENGLISH["scores_reference"] not in head
    assert "A · Scene (MSI)" in table
    assert "| +0.9" in table or "| +1.0" in table


def test_a_hidden_condition_is_not_told(comparison: Comparison, tmp_path: Path) -> None:
    """In a blind comparison nothing is measured for somebody who has not rated."""
    comparison.blind = True
    assert list(ClipMeter(Settings(data_dir=tmp_path)).report(comparison, "somebody", ENGLISH)) == [
        ENGLISH["scores_none"]
    ]


def test_fad_is_explained_in_every_language() -> None:
    """The panel says, in each language, that FAD is no score of one clip."""
    assert all("FAD" in texts["scores_about"] for texts in LANGUAGES.values())


def test_sight_needs_cuts_and_motion() -> None:
    """Evidence of another captioner gives no picture to measure."""
    assert evaluation.Sight.of({"objects": []}, 10.0) is None
