"""Handlers turn what a browser sends, whatever it is, into what the page shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from musiscene.errors import RequestError
from musiscene.mux import Mix
from musiscene.types import CaptionKind
from musiscene.ui.choices import Choices, read_choices
from musiscene.ui.desk import Desk
from musiscene.ui.examples import find_examples
from musiscene.ui.handlers import Handlers, Page

PERSON = "0123456789abcdef"
SETTINGS = (["video", "msi"], None, None, False, 1, "replace", 0.0, False, "sketch", "", False, *[""] * 4, "", "")


def event(**data: Any) -> Any:
    """What Gradio gives a handler when our script triggers an event."""
    return SimpleNamespace(_data={"person": PERSON, **data})


@pytest.fixture
def handlers(desk: Desk, clip_path: Path) -> Handlers:
    """Handlers whose uploads are the folder of the clip."""
    return Handlers(desk, find_examples(), clip_path.parent)


def test_an_upload_opens_a_comparison(handlers: Handlers, clip_path: Path) -> None:
    """The page is told the clip's name and facts, and nothing of the server's folders."""
    source, progress, captions, _ask, player = handlers.open_upload(event(path=str(clip_path), name="My holiday.mp4"))

    assert source["name"] == "My holiday.mp4" and source["token"]
    assert str(clip_path.parent) not in str((source, progress, captions, player))


@pytest.mark.parametrize("path", ["/etc/passwd", "../../etc/passwd", "", "nothing.mp4"])
def test_only_uploads_can_be_opened(handlers: Handlers, path: str) -> None:
    """A path that is not an upload's is refused, in words."""
    source, *_ = handlers.open_upload(event(path=path, name="x.mp4"))

    assert source["token"] == ""
    assert source["error"] == "That upload is not known here. Choose the file again."


def test_an_unknown_example_is_told(handlers: Handlers) -> None:
    """An old page may ask for an example that is gone."""
    assert "example" in handlers.open_example(event(example="gone.mp4"))[0]["error"]


@pytest.mark.parametrize(
    "sent", [None, [], "x", {}, {"person": "x"}, {"person": PERSON, "edits": []}, {"person": "<b>"}]
)
def test_nonsense_becomes_a_sentence(handlers: Handlers, sent: Any) -> None:
    """Whatever arrives instead of our page's message, no exception reaches the person."""
    (values,) = handlers.both(sent, *SETTINGS)

    assert values[1]["error"]


def test_a_link_to_nothing_keeps_the_settings_of_the_history(handlers: Handlers) -> None:
    """Files that were removed are said to be, and the page knows which link it was."""
    (values,) = handlers.restore(event(token="a" * 22))

    assert "24 hours" in values[0]["error"]
    assert values[0]["lost"] == "a" * 22


def test_a_rating_without_its_comparison_is_told(handlers: Handlers) -> None:
    """A rating that cannot be kept says so instead of vanishing."""
    assert "24 hours" in handlers.rate(event(token="a" * 22, track="1", score=50))[0]["error"]


def test_settings_become_choices() -> None:
    """Empty fields mean the default; a kept seed is used, an unkept one is not."""
    choices = read_choices(
        (["music"], 12, 99, True, 2, "duck", -6, True, "paper", "x", True, "", "sketch", "", "", "", " fusion/short ")
    )

    assert choices.kinds == {CaptionKind.MUSIC}
    assert (choices.duration_s, choices.seed, choices.takes, choices.mix) == (12.0, 99, 2, Mix.DUCK)
    assert choices.captioners == {CaptionKind.MUSIC: "sketch"}
    assert choices.blind and choices.melody and choices.generator == "x" and choices.profile == "paper"
    assert choices.prompts == {CaptionKind.MSI: "fusion/short"}
    assert read_choices(SETTINGS).seed is None and not read_choices(SETTINGS).melody
    assert Choices.read(choices.as_dict()) == replace(choices, seed=None)


@pytest.mark.parametrize("seed", [None, -1, 1.5, 2**31])
def test_a_kept_seed_has_to_be_one(seed: Any) -> None:
    """The sentence says what a seed is."""
    with pytest.raises(RequestError, match="whole number"):
        read_choices((["music"], None, seed, True, *SETTINGS[4:]))


def test_a_page_without_edits_has_none() -> None:
    """Fields may be missing."""
    assert Page.read({"person": PERSON, "token": None}).edits == {}
