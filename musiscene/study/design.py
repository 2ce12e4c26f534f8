"""What a study asks, of whom and how: the design, a TOML file that is checked to the line.

Values here know nothing of media or databases. `docs/study.md` documents every key.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from musiscene.errors import ConfigError
from musiscene.study.toml_lines import Key, key_lines, line_of

Text = Mapping[str, str]
"""The same words by language code."""

REFERENCE = "reference"
ANCHOR = "anchor"
EXTRA_CONDITIONS = (REFERENCE, ANCHOR)
"""Stimuli beside the conditions: the clip's own soundtrack (hidden reference) and a mismatched one (low anchor)."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
MAX_CONDITIONS = 8
MAX_ITEMS = 200


class TrialType(StrEnum):
    """What one page of a study asks."""

    RATING = "rating"
    """Several soundtracks of one video on one page, each rated 0 to 100."""
    PAIR = "pair"
    """Two soundtracks of one video: which fits better, and how much."""
    SINGLE = "single"
    """One soundtrack a page, rated 0 to 100."""


@dataclass(frozen=True, slots=True)
class Checks:
    """The parts of a study that tell whether its answers can be trusted; each can be left out."""

    practice: bool = False
    volume: bool = False
    headphones: bool = False
    """Huggins pitch, six trials (Milne et al., Behavior Research Methods 53, 2021)."""
    repeat: int = 0
    """How many items are rated twice, for reliability (ITU-R BS.1534-3, 4.1.2)."""
    anchor: int = 0
    """On how many trials a deliberately mismatched soundtrack is among the others."""
    reference: bool = False
    """Whether the clip's own soundtrack is a hidden reference, wherever there is one."""
    instructed: int = 0
    """How many pages say where to put the slider (trapping question, ITU-T P.808)."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question of the form after the trials."""

    id: str
    kind: str
    """choice, number, text or scale (0 to 100)."""
    label: Text
    options: tuple[Text, ...] = ()
    required: bool = False
    lowest: float = 0.0
    highest: float = 1000.0


@dataclass(frozen=True, slots=True)
class Design:
    """A study as it was planned.

    Attributes:
        name: In the address of the page.
        conditions: What is compared; never shown to a participant.
        item_count: How many videos the study has.
        item_names: Their names, where the design fixes them.
        per_participant: How many of them one participant sees; the rest is left out in balanced blocks.
        seed: Everything random in the study follows from it.
        text: The file's own words, kept beside the results.
    """

    name: str
    title: Text
    question: Text
    conditions: tuple[str, ...]
    item_count: int
    per_participant: int
    trial: TrialType = TrialType.RATING
    item_names: tuple[str, ...] = ()
    languages: tuple[str, ...] = ("en",)
    consent: Text = field(default_factory=dict)
    questions: tuple[Question, ...] = ()
    checks: Checks = Checks()
    seed: int = 1
    target_participants: int = 0
    completion_code: str = ""
    return_url: str = ""
    thanks: Text = field(default_factory=dict)
    contact: str = ""
    loudness_lufs: float = -16.0
    paper: Mapping[str, Any] = field(default_factory=dict)
    """Published values to print beside ours, by table; entered by the researcher."""
    text: str = ""

    @property
    def incomplete(self) -> bool:
        """Whether a participant sees a part of the items only."""
        return self.per_participant < self.item_count


def load_design(path: Path | str) -> Design:
    """Read and check a design.

    Raises:
        ConfigError: The file cannot be read or says something that cannot be done; the message names the line.
    """
    path = Path(path)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"The study design {path.name} cannot be read: {reason}.") from error
    return parse_design(text, path.name)


def parse_design(text: str, file: str = "study.toml") -> Design:
    """A design from the text of its file (see `load_design`)."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not valid TOML: {error}.") from None
    return _Reader(document, text, file).design()


class _Reader:
    """Takes values out of the document and complains with the line."""

    def __init__(self, document: dict[str, Any], text: str, file: str) -> None:
        self._document, self._text, self._file = document, text, file
        self._lines = key_lines(text)
        self._languages: tuple[str, ...] = ()

    def design(self) -> Design:
        known = {
            "name", "title", "question", "trial", "conditions", "items", "languages", "consent", "questions",
            "checks", "seed", "participants", "finish", "loudness_lufs", "paper",
        }  # fmt: skip
        self._no_others((), self._document, known)
        self._languages = self._read_languages()
        name = self._string(("name",))
        if not _NAME.fullmatch(name):
            raise self._error(("name",), f"name must be small letters, digits, - or _, at most 64, got {name[:80]!r}")
        conditions = self._conditions()
        trial = self._choice(("trial",), [t.value for t in TrialType], TrialType.RATING.value)
        if trial == "pair" and len(conditions) < 2:
            raise self._error(("conditions",), "a paired comparison needs two conditions or more")
        count, names, per_participant = self._items()
        checks = self._checks(TrialType(trial), per_participant)
        finish = self._table(("finish",), {"completion_code", "return_url", "thanks", "contact"})
        url = str(finish.get("return_url", ""))
        if url and (urlsplit(url).scheme not in ("https", "http") or not urlsplit(url).netloc):
            raise self._error(("finish", "return_url"), f"return_url must be an http(s) address, got {url[:80]!r}")
        loudness = self._number(("loudness_lufs",), -16.0, -40.0, -10.0)
        return Design(
            name=name,
            title=self._words(("title",)),
            question=self._words(("question",)),
            conditions=conditions,
            item_count=count,
            item_names=names,
            per_participant=per_participant,
            trial=TrialType(trial),
            languages=self._languages,
            consent=self._words(("consent",)),
            questions=self._questions(),
            checks=checks,
            seed=int(self._number(("seed",), 1, 0, 2**53, whole=True)),
            target_participants=int(self._number(("participants",), 0, 0, 100_000, whole=True)),
            completion_code=str(finish.get("completion_code", "")),
            return_url=url,
            thanks=self._words(("finish", "thanks")) if "thanks" in finish else {},
            contact=str(finish.get("contact", "")),
            loudness_lufs=loudness,
            paper=MappingProxyType(self._table(("paper",), None)),
            text=self._text,
        )

    def _read_languages(self) -> tuple[str, ...]:
        languages = self._list(("languages",), ["en"])
        for language in languages:
            if not isinstance(language, str) or not _LANGUAGE.fullmatch(language):
                raise self._error(("languages",), f"a language is a code such as en, zh or es, got {language!r}")
        if not languages or len(set(languages)) < len(languages):
            raise self._error(("languages",), "languages must name at least one language, each once")
        return tuple(languages)

    def _conditions(self) -> tuple[str, ...]:
        given = self._list(("conditions",), None)
        for name in given:
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise self._error(("conditions",), f"a condition is small letters, digits, - or _, got {name!r}")
            if name in EXTRA_CONDITIONS:
                raise self._error(("conditions",), f"{name!r} is not a condition; switch it on under [checks]")
            if given.count(name) > 1:
                raise self._error(("conditions",), f"the condition {name!r} is there twice")
        if not 1 <= len(given) <= MAX_CONDITIONS:
            raise self._error(("conditions",), f"there must be 1 to {MAX_CONDITIONS} conditions, got {len(given)}")
        return tuple(given)

    def _items(self) -> tuple[int, tuple[str, ...], int]:
        table = self._table(("items",), {"count", "names", "per_participant"})
        names = self._list(("items", "names"), [])
        if any(not isinstance(name, str) or not name for name in names) or len(set(names)) < len(names):
            raise self._error(("items", "names"), "items.names must be different names of folders")
        if not names and "count" not in table:
            raise self._error(("items",), "say how many videos the study has: items.count, or items.names")
        count = int(self._number(("items", "count"), len(names), 1, MAX_ITEMS, whole=True))
        if names and count != len(names):
            raise self._error(("items", "count"), f"items.count is {count}, but items.names has {len(names)}")
        per = int(self._number(("items", "per_participant"), count, 1, count, whole=True))
        return count, tuple(names), per

    def _checks(self, trial: TrialType, items: int) -> Checks:
        self._table(("checks",), {"practice", "volume", "headphones", "repeat", "anchor", "reference", "instructed"})
        checks = Checks(
            practice=self._flag(("checks", "practice")),
            volume=self._flag(("checks", "volume")),
            headphones=self._flag(("checks", "headphones")),
            repeat=int(self._number(("checks", "repeat"), 0, 0, items, whole=True)),
            anchor=int(self._number(("checks", "anchor"), 0, 0, items, whole=True)),
            reference=self._flag(("checks", "reference")),
            instructed=int(self._number(("checks", "instructed"), 0, 0, 3, whole=True)),
        )
        if trial is TrialType.PAIR and (checks.reference or checks.anchor):
            raise self._error(("checks",), "a reference or an anchor has no place in a paired comparison")
        return checks

    def _questions(self) -> tuple[Question, ...]:
        given = self._document.get("questions", [])
        if not isinstance(given, list):
            raise self._error(("questions",), "questions are written as [[questions]]")
        made: list[Question] = []
        for index, entry in enumerate(given):
            key: Key = ("questions", index)
            self._no_others(key, entry, {"id", "kind", "label", "options", "required", "lowest", "highest"})
            identity = self._string((*key, "id"))
            if not _NAME.fullmatch(identity) or identity in {question.id for question in made}:
                raise self._error((*key, "id"), f"a question's id is a short name used once, got {identity[:80]!r}")
            kind = self._choice((*key, "kind"), ["choice", "number", "text", "scale"], "text")
            options: tuple[Text, ...] = ()
            if kind == "choice":
                many = self._list((*key, "options"), [])
                if len(many) < 2:
                    raise self._error((*key, "options"), "a choice needs two options or more")
                options = tuple(self._words((*key, "options", i)) for i in range(len(many)))
            lowest = self._number((*key, "lowest"), 0.0, -1e9, 1e9)
            highest = self._number((*key, "highest"), 100.0 if kind == "scale" else 1000.0, lowest, 1e9)
            required = self._flag((*key, "required"))
            made.append(Question(identity, kind, self._words((*key, "label")), options, required, lowest, highest))
        return tuple(made)

    # -- values ----------------------------------------------------------------------------------------------------

    def _find(self, key: Key) -> Any:
        value: Any = self._document
        for part in key:
            known = value if isinstance(value, Mapping) else range(len(value)) if isinstance(value, list) else ()
            if part not in known:
                return None
            value = value[part]
        return value

    def _string(self, key: Key) -> str:
        value = self._find(key)
        if not isinstance(value, str) or not value.strip():
            raise self._error(key, f"{_dotted(key)} must be a text in quotes, and not empty")
        return value

    def _words(self, key: Key) -> Text:
        """A text by language: a table `{en = …, zh = …}`, or a plain text where there is one language."""
        value = self._find(key)
        if isinstance(value, str) and value.strip():
            if len(self._languages) > 1:
                wanted = ", ".join(self._languages)
                raise self._error(key, f"{_dotted(key)} must be written for each language ({wanted})")
            return {self._languages[0]: value}
        if not isinstance(value, Mapping):
            raise self._error(key, f"{_dotted(key)} is missing: a text for each of {', '.join(self._languages)}")
        for language in self._languages:
            if not isinstance(value.get(language), str) or not value[language].strip():
                raise self._error((*key, language), f"{_dotted(key)} has no text for the language {language!r}")
        for language in value:
            if language not in self._languages:
                raise self._error((*key, language), f"{_dotted(key)} has {language!r}, which is not in languages")
        return MappingProxyType(dict(value))

    def _number(self, key: Key, default: float, lowest: float, highest: float, *, whole: bool = False) -> float:
        value = self._find(key)
        if value is None:
            return default
        kinds = (int,) if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not lowest <= value <= highest:
            what = "a whole number" if whole else "a number"
            raise self._error(key, f"{_dotted(key)} must be {what} from {lowest:g} to {highest:g}, got {value!r}")
        return value

    def _flag(self, key: Key) -> bool:
        value = self._find(key)
        if value is not None and not isinstance(value, bool):
            raise self._error(key, f"{_dotted(key)} must be true or false, got {value!r}")
        return bool(value)

    def _choice(self, key: Key, allowed: list[str], default: str) -> str:
        value = self._find(key)
        if value is None:
            return default
        if value not in allowed:
            raise self._error(key, f"{_dotted(key)} must be one of {', '.join(allowed)}, got {value!r}")
        return str(value)

    def _list(self, key: Key, default: list[Any] | None) -> list[Any]:
        value = self._find(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, list):
            raise self._error(key, f"{_dotted(key)} must be a list in square brackets")
        return value

    def _table(self, key: Key, known: set[str] | None) -> dict[str, Any]:
        value = self._find(key)
        if value is None:
            return {}
        if known is not None:
            self._no_others(key, value, known)
        return dict(value)

    def _no_others(self, key: Key, table: Any, known: set[str]) -> None:
        if not isinstance(table, Mapping):
            raise self._error(key, f"{_dotted(key)} must be a table")
        for name in table:
            if name not in known:
                close = ", ".join(sorted(known))
                raise self._error((*key, name), f"{_dotted((*key, name))} is not known; there are: {close}")

    def _error(self, key: Key, message: str) -> ConfigError:
        return ConfigError(f"{self._file}, line {line_of(self._lines, key)}: {message}.")


def _dotted(key: Key) -> str:
    words = ""
    for part in key:
        words += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if words else part
    return words
