"""The page's texts in every language, and how they are filled in.

What the page says of itself is in `musiscene/languages/`, one file per language. What backends write (captions,
measurements, their reasons) is English in every language and marked so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from musiscene.errors import MusisceneError, RequestError, StorageError, explain
from musiscene.languages import chinese, english, spanish
from musiscene.types import CaptionKind

Texts: TypeAlias = Mapping[str, str]
"""Key -> text in one language."""

ENGLISH: Texts = MappingProxyType(english.TEXTS)

LANGUAGES: Mapping[str, Texts] = MappingProxyType(
    {
        "en": ENGLISH,
        "es": MappingProxyType(spanish.TEXTS),
        "zh": MappingProxyType(chinese.TEXTS),
    }
)
"""Code of a language -> its texts; English first, for everyone whose language is not here."""

LANGUAGE_NAMES: Mapping[str, str] = MappingProxyType({"en": "English", "es": "Español", "zh": "中文"})
"""What each language calls itself."""

GRADIO_LOCALES: Mapping[str, str] = MappingProxyType({"en": "en", "es": "es", "zh": "zh-CN"})
"""Gradio's own name of each language, so that its components speak the same one."""

Value: TypeAlias = "object | Callable[[Texts], object]"
"""What a blank is filled with; a function where that differs between languages."""


def texts_for(language: object) -> Texts:
    """The texts of that language; English for one that is not here."""
    return LANGUAGES.get(str(language), ENGLISH)


def title_of(kind: CaptionKind | str, texts: Texts = ENGLISH) -> str:
    """What a kind of caption is called."""
    return texts[f"kind_{kind}"]


class Translated(MusisceneError):
    """A sentence of the page's own, told in the language of whoever reads it."""

    def __init__(self, key: str, *, after: str = "", **values: Value) -> None:
        self.key, self.after, self.values = key, after, values
        super().__init__(self.said(ENGLISH))

    def said(self, texts: Texts) -> str:
        """The sentence in one language."""
        values = {name: value(texts) if callable(value) else value for name, value in self.values.items()}
        return f"{fill(texts[self.key], **values)} {self.after}".strip()


class PageError(Translated, RequestError):
    """Something that the page cannot do."""


class GoneError(Translated, StorageError):
    """Results that are not kept any more."""


def say(what: MusisceneError | str, texts: Texts) -> str:
    """`what` in one language where it is the page's own, else as it is."""
    return what.said(texts) if isinstance(what, Translated) else str(what)


def say_error(error: BaseException, doing: str, texts: Texts) -> str:
    """One sentence about `error` in one language; see `musiscene.errors.explain`."""
    return error.said(texts) if isinstance(error, Translated) else explain(error, doing)


def fill(text: str, **values: object) -> str:
    """`text` with each `{name}` replaced by its value."""
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text


def duration_words(seconds: float, texts: Mapping[str, str] = ENGLISH) -> str:
    """A length of time as people say it: "24 hours", "1 min 5 s", "8.5 s"."""
    if seconds >= 2 * 86400 and seconds % 86400 == 0:
        return fill(texts["days"], n=round(seconds / 86400))
    if seconds >= 3600:
        hours = seconds / 3600
        return texts["hour"] if hours == 1 else fill(texts["hours"], n=f"{hours:.3g}")
    if seconds >= 60:
        whole = round(seconds)
        return fill(texts["minutes"], m=whole // 60, s=whole % 60)
    return fill(texts["seconds"], n=f"{seconds:.1f}".removesuffix(".0"))


def size_words(size_bytes: float) -> str:
    """A file size in the unit that reads best, powers of 1000: "12.3 MB"."""
    for unit in ("B", "kB", "MB"):
        if size_bytes < 1000:
            return f"{size_bytes:.3g} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.3g} GB"
