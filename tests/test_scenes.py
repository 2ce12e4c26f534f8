"""The scene bank: what it holds, and both ways into it."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from musiscene.scenes import all_scenes, find, nearest, scene
from musiscene.scenes.bank import ERAS, MODES, STYLES, TEXTURES


def test_the_bank_holds_at_least_two_hundred_different_scenes() -> None:
    """No two scenes share a name, a setting, an action or a feeling, and there are more than 200."""
    scenes = all_scenes()

    assert len(scenes) >= 200
    for part in ("id", "setting", "action"):
        assert max(Counter(getattr(one, part) for one in scenes).values()) == 1, part


def test_every_scene_is_complete_and_reads_as_one_sentence() -> None:
    """Its values lie in their ranges and its words join into the paper's sentence."""
    for one in all_scenes():
        assert all(-1 <= value <= 1 for value in (one.arousal, one.valence, one.tension)), one.id
        assert 30 <= one.tempo_bpm[0] < one.tempo_bpm[1] <= 200, one.id
        assert one.texture in TEXTURES, one.id
        assert one.era in ERAS, one.id
        assert one.mode in MODES, one.id
        assert one.styles, one.id
        assert set(one.styles) <= set(STYLES), one.id
        assert one.keywords, one.id
        assert all(re.fullmatch(r"[a-z]+", word) for word in one.keywords), one.id
        assert one.sentence.startswith("The music is suitable for a scene of "), one.id
        assert one.sentence.count(".") == 1, one.id
        assert scene(one.id) is one


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("chase", "chase"),
        ("CHASES", "chase"),
        ("chsae", "chase"),
        ("a funeral", "funeral"),
        ("Funerals", "funeral"),
        ("weding", "wedding"),
        ("They got married in spring", "wedding"),
        ("rain on the window", "rain"),
        ("a car chase through the city at night", "chase"),
        ("zombies attack", "zombies"),
        ("Lullabies", "lullaby"),
    ],
)
def test_words_lead_to_scenes_in_spite_of_case_plurals_and_slips(text: str, keyword: str) -> None:
    """The best scene for a text is one that is about its word."""
    assert keyword in find(text)[0][0].keywords


@pytest.mark.parametrize("text", ["", "   ", "qwrtzp", "12345", "music", "the track is in A minor at 120 BPM", "!?"])
def test_words_of_no_scene_find_nothing(text: str) -> None:
    """Nothing is made up for a text that speaks of no scene."""
    assert find(text) == []


def test_found_scenes_are_ranked_and_limited() -> None:
    """Scores fall from 1 downwards and there are no more than asked for."""
    found = find("a wedding party on the beach with a band and children", limit=5)

    assert len(found) == 5
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)


def test_every_scene_is_found_by_its_own_keywords() -> None:
    """The keywords of a scene lead to it, among the first three."""
    lost = [one.id for one in all_scenes() if one not in [hit for hit, _ in find(" ".join(one.keywords))]]

    assert lost == []


def test_every_scene_is_nearest_to_its_own_place_for_some_seed() -> None:
    """No scene is hidden behind its neighbours: its own place leads to it."""
    hidden = []
    for one in all_scenes():
        tempo = (one.tempo_bpm[0] * one.tempo_bpm[1]) ** 0.5
        chosen = (
            nearest(
                arousal=one.arousal,
                valence=one.valence,
                tension=one.tension,
                tempo_bpm=tempo,
                texture=one.texture,
                era=one.era,
                mode=None if one.mode == "either" else one.mode,
                seed=seed,
                limit=1,
            )[0][0].id
            for seed in range(40)
        )
        if one.id not in chosen:
            hidden.append(one.id)

    assert hidden == []


def test_calm_sad_music_never_leads_to_a_party() -> None:
    """The four quarters of the circumplex lead to scenes of the same quarter."""
    for arousal in (-0.5, 0.6):
        for valence in (-0.5, 0.6):
            for seed in range(10):
                best, fit = nearest(arousal=arousal, valence=valence, tension=-valence / 2, seed=seed, limit=1)[0]
                assert best.arousal * arousal > 0, best.id
                assert best.valence * valence > 0, best.id
                assert fit > 0.5


def test_the_seed_brings_variety_and_the_same_seed_the_same_scene() -> None:
    """Seeds choose between scenes of nearly the same fit; one seed always chooses the same."""
    where = {"arousal": 0.1, "valence": 0.1, "tension": 0.1, "tempo_bpm": 96.0, "texture": "sparse"}

    first = [nearest(**where, seed=seed, limit=1)[0][0].id for seed in range(30)]
    again = [nearest(**where, seed=seed, limit=1)[0][0].id for seed in range(30)]

    assert first == again
    assert len(set(first)) >= 4


def test_a_small_step_moves_the_fit_by_little() -> None:
    """The fit is continuous: 0.01 on an axis changes it by less than 0.05."""
    here = nearest(arousal=0.2, valence=0.3, tension=0.0, tempo_bpm=100, texture=0.5, limit=288)
    there = dict(nearest(arousal=0.21, valence=0.29, tension=0.01, tempo_bpm=100.5, texture=0.51, limit=288))

    assert all(abs(fit - there[one]) < 0.05 for one, fit in here)
