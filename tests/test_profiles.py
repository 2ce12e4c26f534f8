"""Which backends are used, and why."""

from collections.abc import Mapping
from typing import Any

import pytest

from musiscene import profiles
from musiscene.errors import UnknownBackendError
from musiscene.profiles import PROFILES, Profile, choose
from musiscene.types import CaptionKind


def test_every_profile_names_backends_that_there_are() -> None:
    """One for each caption, and a generator."""
    for profile in PROFILES.values():
        assert set(profile.captioners) == set(CaptionKind)
        assert len(profile.specs()) >= 4
        assert profile.summary.endswith(".")


def test_without_weights_the_machine_sketches_and_says_why() -> None:
    """So does every machine that these tests run on."""
    chosen = choose("auto")

    assert chosen.name == "sketch"
    assert chosen.reason.startswith("sketch, because")


@pytest.mark.parametrize("gpu", [False, True])
def test_weights_alone_do_not_make_a_processor_wait_for_minutes(gpu: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all weights, the paper's networks are taken only where there is a GPU."""
    import torch

    def nothing_missing(profile: Profile, options: Mapping[str, Any]) -> None:
        return None

    monkeypatch.setattr(profiles.Profile, "why_unavailable", nothing_missing)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    chosen = choose("auto")

    assert chosen.name == ("paper" if gpu else "sketch")
    assert "GPU" in chosen.reason


def test_a_profile_that_is_asked_for_is_taken() -> None:
    """Whether it can run is said by its backends, each with its next step."""
    assert choose("paper").generator == "musicgen"
    assert "musiscene weights" in (choose("paper").why_unavailable({}) or "")


def test_an_unknown_profile_is_answered_with_the_known_ones() -> None:
    """In one sentence."""
    with pytest.raises(UnknownBackendError, match="auto, paper, sketch"):
        choose("nonsense")
