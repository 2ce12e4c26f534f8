"""What a showcase says, in every language at once.

The page is written in one language and is complete in it. Beside each text stand its key and what its blanks are filled
with, so that `words.js` can say the page in another language, chosen by the browser or by the switch in its head.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from types import MappingProxyType

from musiscene.languages import chinese, english, spanish
from musiscene.types import CaptionKind

_SHARED = (
    *(f"kind_{kind}" for kind in CaptionKind), *(f"kind_{kind}_about" for kind in CaptionKind),
    "take", "silence", "language", "gallery_clip", "gallery_clips", "gallery_track", "gallery_tracks", "gallery_all",
)  # fmt: skip
"""Texts that the app's page has too."""

WORDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        code: MappingProxyType({**module.SHOWCASE, **{key: module.TEXTS[key] for key in _SHARED}})
        for code, module in (("en", english), ("es", spanish), ("zh", chinese))
    }
)
"""Code of a language -> its texts; English first, for everyone whose language is not here."""


class Words:
    """The texts of one language as pieces of HTML that remember their keys."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = WORDS[language]

    def __getitem__(self, key: str) -> str:
        return self._texts[key]

    def text(self, tag: str, key: str, attributes: str = "", /, **values: object) -> str:
        """An element with one text in it; what stands between backticks is a key of the keyboard."""
        pieces = escape(self._filled(key, values)).split("`")
        inside = "".join(f"<kbd>{piece}</kbd>" if index % 2 else piece for index, piece in enumerate(pieces))
        return f'<{tag}{attributes} data-t="{key}"{_blanks(values)}>{inside}</{tag}>'

    def attribute(self, name: str, key: str, /, **values: object) -> str:
        """An attribute that is read or heard: `aria-label`, `title`, `alt`. One element has blanks of one kind only."""
        return f' {name}="{escape(self._filled(key, values))}" data-t-{name}="{key}"{_blanks(values)}'

    def count(self, number: int, one: str, many: str) -> str:
        """So many of something; `one` and `many` are keys."""
        return self.text("span", one) if number == 1 else self.text("span", many, n=number)

    def _filled(self, key: str, values: Mapping[str, object]) -> str:
        text = self._texts[key]
        for name, value in values.items():
            text = text.replace(f"{{{name}}}", str(value))
        return text


def _blanks(values: Mapping[str, object]) -> str:
    if not values:
        return ""
    return f' data-v="{escape(json.dumps({name: str(value) for name, value in values.items()}))}"'
