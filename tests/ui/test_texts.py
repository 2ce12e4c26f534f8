"""Texts of the page."""

from __future__ import annotations

import re

from musiscene.ui.files import SCRIPTS, STATIC
from musiscene.ui.texts import ENGLISH, duration_words, fill, size_words


def test_every_text_that_the_script_asks_for_exists() -> None:
    """A key that is missing would be shown to people as it is."""
    script = "".join((STATIC / name).read_text("utf-8") for name in SCRIPTS)
    asked = set(re.findall(r"\bt\(\s*\"(\w+)\"", script))

    assert len(asked) > 50
    assert asked - ENGLISH.keys() == set()


def test_durations_and_sizes_are_as_people_say_them() -> None:
    """Units that read best."""
    assert duration_words(86400) == "24 hours"
    assert duration_words(172800) == "2 days"
    assert duration_words(3600) == "1 hour"
    assert duration_words(65) == "1 min 5 s"
    assert duration_words(2.5) == "2.5 s"
    assert size_words(1_279_513) == "1.28 MB"
    assert size_words(999) == "999 B"


def test_filling_leaves_other_braces_alone() -> None:
    """A caption with braces in it is not a template."""
    assert fill("{name} has {size}", name="{size}", size="1 MB") in ("{size} has 1 MB", "1 MB has 1 MB")
    assert fill("no {such} value", other=1) == "no {such} value"
