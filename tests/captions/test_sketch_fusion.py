"""One brief from two captions: measured, written or edited."""

from __future__ import annotations

import json
from typing import Any

import pytest

from musiscene.captions._fusion.affect import read_affect
from musiscene.captions.sketch_fusion import SPEC
from musiscene.errors import MissingCaptionError
from musiscene.types import Caption, CaptionKind, CaptionRequest, CaptionSet, Job

LIVELY = {
    "motion_kind": "pan left", "motion_word": "lively", "arousal": 0.6, "valence": 0.2, "light": "day-like",
    "warmth_word": "warm", "palette": [{"name": "brown"}, {"name": "sky blue"}], "cuts_s": [1.0, 2.0],
    "pace_cuts_per_min": 12.0, "development": {"word": "building"}, "motion_curve": [0.2, 0.5], "duration_s": 10.0,
}  # fmt: skip
CALM_MUSIC = {
    "tempo_bpm": 72.0, "tempo_confidence": 0.9, "key": "F# minor", "key_confidence": 0.9, "mode": "minor",
    "meter": "3/4", "arousal": -0.6, "valence": -0.3, "texture": "solo", "energy_curve": [0.2, 0.3],
    "kind_of_sound": "music",
}  # fmt: skip


def video(text: str = "a picture", backend: str = "sketch", **evidence: Any) -> Caption:
    """A video caption."""
    return Caption(CaptionKind.VIDEO, text, backend, evidence=evidence)


def music(text: str = "some music", backend: str = "sketch", **evidence: Any) -> Caption:
    """A music caption."""
    return Caption(CaptionKind.MUSIC, text, backend, evidence=evidence)


def fuse(*captions: Caption) -> Caption:
    """The fusion caption."""
    request = CaptionRequest(frozenset({CaptionKind.FUSION}), captions=CaptionSet(captions))
    return next(iter(SPEC.load({}).describe(request, Job())))


def test_it_carries_tempo_key_and_picture_of_measured_captions() -> None:
    """Tempo, key and meter of the music and light, colours and shots of the picture are in the brief."""
    made = fuse(video(**LIVELY), music(**{**CALM_MUSIC, "arousal": 0.4}))

    for words in ("72 BPM", "F# minor", "3/4", "bright", "brown and sky blue", "3 shots", "build"):
        assert words in made.text
    assert made.evidence["agreement_word"] == "agree"
    assert made.evidence["sources"] == {"video": "measurements", "music": "measurements"}


def test_disagreement_is_said_and_decided_with_a_reason() -> None:
    """An energetic picture with calm music: the brief says so, follows the picture in energy, and says why."""
    made = fuse(video(**LIVELY), music(**CALM_MUSIC))

    assert "more energy than the music" in made.text
    assert "since a soundtrack has to carry what is seen" in made.text
    energy = next(decision for decision in made.evidence["decisions"] if decision["what"] == "energy")
    assert energy["led_by"] == "picture"
    assert made.evidence["arousal"] > 0


def test_words_alone_are_enough() -> None:
    """Captions of other backends have no measurements: tempo, key and instruments are read from their words."""
    made = fuse(
        video("A man is riding a horse on a beach.", "swinbert"),
        music("A slow, melancholic piano piece in B♭ minor at 66 beats per minute.", "mu-llama"),
    )

    for words in ("66 BPM", "Bb minor", "piano", "a man is riding a horse on a beach"):
        assert words in made.text
    assert made.evidence["sources"] == {"video": "words", "music": "words"}


def test_an_edited_text_outranks_stale_measurements() -> None:
    """What a person wrote wins over what was measured before."""
    made = fuse(video(**LIVELY), music("Fast techno at 140 BPM in D major", "edited", **CALM_MUSIC))

    assert "140 BPM" in made.text
    assert "D major" in made.text
    assert "techno" in made.text
    assert "F# minor" not in made.text


@pytest.mark.parametrize("kind", ["silence", "noise", "speech"])
def test_sound_that_is_no_music_leaves_the_lead_to_the_picture(kind: str) -> None:
    """Silence, noise and speech give neither tempo nor key, and the brief says who leads."""
    made = fuse(video(**LIVELY), music(kind_of_sound=kind, tempo_bpm=None, key=None, arousal=None, valence=None))

    assert f"since the sound is {kind}, not music, the picture leads" in made.text.lower()
    assert made.evidence["agreement"] is None


def test_a_black_picture_leaves_the_lead_to_the_music() -> None:
    """With nothing to see, the music decides."""
    made = fuse(video(**{**LIVELY, "light": "black"}), music(**CALM_MUSIC))

    assert "the music leads" in made.text
    assert "72 BPM" in made.text


def test_unsure_tempo_and_key_are_not_passed_on() -> None:
    """A tempo and a key that were hardly measured do not become the brief's."""
    unsure = {**CALM_MUSIC, "tempo_confidence": 0.1, "key_confidence": 0.1}

    made = fuse(video(**LIVELY), music(**unsure))

    assert "72 BPM" not in made.text
    assert "F# minor" not in made.text


def test_the_brief_is_two_sentences_at_most_and_json() -> None:
    """It is short, ends properly, and its evidence survives JSON."""
    for captions in ((video(**LIVELY), music(**CALM_MUSIC)), (video("", "x"), music("", "x"))):
        made = fuse(*captions)
        assert made.text.endswith(".")
        assert made.text.count(". ") <= 1
        json.dumps(made.evidence, allow_nan=False)


def test_tempo_and_mood_of_the_brief_agree() -> None:
    """A calm picture with calm music that counts fast gets half its tempo, and the brief says so."""
    calm = {**LIVELY, "arousal": -0.7, "valence": 0.1}
    made = fuse(video(**calm), music(**{**CALM_MUSIC, "tempo_bpm": 122.0, "meter": None, "valence": 0.0}))

    assert "61 BPM, half the music's tempo" in made.text
    assert "energetic" not in made.text and "driving" not in made.text


def test_both_disagreements_are_said() -> None:
    """Where energy and mood differ, both decisions are in the text."""
    made = fuse(video(**{**LIVELY, "valence": 0.8}), music(**{**CALM_MUSIC, "valence": -0.6}))

    assert "more energy than the music" in made.text
    assert "the mood follows the music" in made.text


def test_a_camera_that_was_not_measured_is_not_called_fixed() -> None:
    """Before a plain ground it cannot be told whether the camera rests."""
    unsure = {**LIVELY, "motion_kind": "action", "motion_confidence": 0.1}

    assert "fixed camera" not in fuse(video(**unsure), music(**CALM_MUSIC)).text
    assert "fixed camera" in fuse(video(**{**unsure, "motion_confidence": 0.9}), music(**CALM_MUSIC)).text


def test_a_missing_caption_is_named() -> None:
    """Fusing without a music caption names what is missing."""
    with pytest.raises(MissingCaptionError, match="no music caption"):
        fuse(video())


def test_negated_feelings_do_not_count() -> None:
    """What is "not calm" is not taken for calm, and words without feeling give none."""
    assert read_affect("not calm at all") is None
    assert read_affect("a table with four legs") is None
    joyful = read_affect("a joyful dance")
    assert joyful is not None and joyful.arousal > 0 and joyful.valence > 0
