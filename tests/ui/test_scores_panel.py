"""The panel of measured scores: what it says of real soundtracks, and when it says nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from musiscene import weights
from musiscene.captions.sketch_video import SPEC
from musiscene.evaluation_pictures import Sight
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
    """Without weights the picture-and-music measures are shown, and how to get the weights of the others."""
    meter = ClipMeter(Settings(data_dir=tmp_path / "data"))
    *_, table = meter.report(comparison, "somebody", ENGLISH)
    head = table.splitlines()[0]
    assert ENGLISH["scores_energy"] in head
    assert ENGLISH["scores_words"] not in head and ENGLISH["scores_reference"] not in head
    assert "A · Scene (MSI)" in table
    assert "| +0.9" in table or "| +1.0" in table
    for name in ("passt-20s", "clap-music"):
        assert f"musiscene weights download {name}" in table


@pytest.mark.slow
def test_random_weights_give_no_score(comparison: Comparison, tmp_path: Path) -> None:
    """A network that was never trained is refused in words where its numbers would stand."""
    from transformers import ClapAudioConfig, ClapConfig, ClapModel, ClapTextConfig

    torch.manual_seed(0)
    network = ClapModel(
        ClapConfig(
            text_config=ClapTextConfig(
                vocab_size=64, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
            ).to_dict(),
            audio_config=ClapAudioConfig(
                patch_embeds_hidden_size=16, hidden_size=32, depths=[1, 1], num_attention_heads=[2, 2]
            ).to_dict(),
            projection_dim=16,
        )
    )
    network.save_pretrained(tmp_path / "clap")
    weights.use("clap-music", tmp_path / "clap", tmp_path / "data" / "weights")

    *_, table = ClipMeter(Settings(data_dir=tmp_path / "data")).report(comparison, "somebody", ENGLISH)

    (row,) = [line for line in table.splitlines() if line.startswith("| A")] or [table]
    assert "Not measured" in row
    assert not re.search(r"\d\.\d", row)


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
    assert Sight.of({"objects": []}, 10.0) is None
