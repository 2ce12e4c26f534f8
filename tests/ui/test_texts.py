"""Texts of the page."""

from __future__ import annotations

import re

import pytest

from musiscene.errors import RequestError, StorageError
from musiscene.types import CaptionKind
from musiscene.ui.files import SCRIPTS, STATIC
from musiscene.ui.texts import (
    ENGLISH,
    GRADIO_LOCALES,
    LANGUAGE_NAMES,
    LANGUAGES,
    GoneError,
    PageError,
    Texts,
    duration_words,
    fill,
    say,
    say_error,
    size_words,
    texts_for,
    title_of,
)

BLANK = re.compile(r"\{\w+\}")


def test_every_text_that_the_script_asks_for_exists() -> None:
    """A key that is missing would be shown to people as it is."""
    script = "".join((STATIC / name).read_text("utf-8") for name in SCRIPTS)
    asked = set(re.findall(r"\bt\(\s*\"(\w+)\"", script))

    assert len(asked) > 50
    assert asked - ENGLISH.keys() == set()


def test_every_text_is_used() -> None:
    """A text that nobody asks for would be translated for nothing."""
    sources = [(STATIC / name).read_text("utf-8") for name in SCRIPTS]
    sources += [path.read_text("utf-8") for path in STATIC.parent.glob("*.py")]
    everything = "\n".join(sources)
    put_together = re.compile(r"(kind|brief|mix|profile|band|waiting|done)_\w+")

    unused = {
        key for key in ENGLISH if not re.search(f"['\"]{key}['\"]", everything) and not put_together.fullmatch(key)
    }

    assert unused == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_text_with_the_same_blanks(language: str) -> None:
    """No text is missing, none is left in English by accident, and every blank is filled in."""
    texts = LANGUAGES[language]

    assert texts.keys() == ENGLISH.keys()
    assert [key for key, text in texts.items() if not text.strip()] == []
    assert [key for key in ENGLISH if set(BLANK.findall(texts[key])) != set(BLANK.findall(ENGLISH[key]))] == []
    assert language in LANGUAGE_NAMES and language in GRADIO_LOCALES
    if language != "en":
        same = {key for key in ENGLISH if len(ENGLISH[key].split()) > 2 and texts[key] == ENGLISH[key]}
        assert same <= {"summary_n", "minutes"}


def test_a_sentence_of_the_page_is_told_in_the_reader_s_language() -> None:
    """Errors of the page are translated where they are shown; those of backends stay as they are."""
    error = PageError("caption_blank", title=lambda texts: title_of(CaptionKind.VIDEO, texts))

    assert str(error) == "The Video caption is empty. Write a few words, or undo the edit."
    assert say(error, texts_for("es")).startswith("La descripción Vídeo está vacía")
    assert say_error(error, "starting", texts_for("zh")).startswith("画面描述是空的")
    assert say("weights are missing", texts_for("es")) == "weights are missing"
    assert isinstance(error, RequestError) and isinstance(GoneError("gone", time="1 hour"), StorageError)
    assert texts_for("tlh") is ENGLISH and texts_for(None) is ENGLISH


@pytest.mark.parametrize(
    ("seconds", "texts", "words"),
    [
        (86400, ENGLISH, "24 hours"),
        (172800, ENGLISH, "2 days"),
        (3600, ENGLISH, "1 hour"),
        (65, ENGLISH, "1 min 5 s"),
        (2.5, ENGLISH, "2.5 s"),
        (86400, LANGUAGES["es"], "24 horas"),
        (65, LANGUAGES["zh"], "1 分 5 秒"),
    ],
)
def test_durations_are_as_people_say_them(seconds: float, texts: Texts, words: str) -> None:
    """Units that read best."""
    assert duration_words(seconds, texts) == words


def test_sizes_are_as_people_say_them() -> None:
    """Powers of 1000, three digits."""
    assert size_words(1_279_513) == "1.28 MB"
    assert size_words(999) == "999 B"


def test_filling_leaves_other_braces_alone() -> None:
    """A caption with braces in it is not a template."""
    assert fill("{name} has {size}", name="{size}", size="1 MB") in ("{size} has 1 MB", "1 MB has 1 MB")
    assert fill("no {such} value", other=1) == "no {such} value"
