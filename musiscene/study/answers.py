"""What a participant's browser may send: checked here before anything is stored."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from musiscene.errors import RequestError
from musiscene.study.assignment import HEADPHONE_TRIALS
from musiscene.study.design import Design, Question, TrialType
from musiscene.study.headphones import INTERVALS

LONGEST_ANSWER = 2000
MAX_EVENTS = 1000
"""Events in one message; the page sends them long before."""
EVENT_KINDS = frozenset(
    {"show", "play", "pause", "seek", "switch", "end", "move", "blur", "focus", "hide", "leave", "error"}
)
_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_EXTERNAL = re.compile(r"[A-Za-z0-9_.:@+-]{1,128}")
_LATEST_S = 7 * 24 * 3600.0


class Refused(RequestError):
    """A request of a participant's browser that is not granted.

    Attributes:
        status: The HTTP status that fits.
        code: One word for the page's script.
    """

    def __init__(self, message: str, status: int = 400, code: str = "bad") -> None:
        super().__init__(message)
        self.status, self.code = status, code


@dataclass(frozen=True, slots=True)
class Rated:
    """One rating, by the public id of its stimulus."""

    slot: str
    value: float
    listened_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    """A checked answer to one page."""

    ratings: tuple[Rated, ...] = ()
    stored: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Happening:
    """One checked event of the log."""

    client_id: str
    kind: str
    at_s: float
    media_s: float | None
    slot: int | None
    value: float | None


def checked_id(value: object, what: str) -> str:
    """An id that a browser made: 8 to 64 letters, digits, - or _."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise Refused(f"The {what} is not valid. Reload the page.")
    return value


def checked_external(value: object, what: str) -> str | None:
    """An id from a recruitment service, or None where there is none."""
    if value in (None, ""):
        return None
    if not isinstance(value, str) or not _EXTERNAL.fullmatch(value):
        raise Refused(
            f"{what} in the address is not an id of at most 128 letters and digits. Use the link you were given."
        )
    return value


def checked_answer(design: Design, kind: str, slots: Sequence[str], given: object, secret: Mapping[str, Any]) -> Answer:
    """What `given` says, for a page of `kind` with the stimuli `slots`.

    Raises:
        Refused: It is not an answer to that page.
    """
    if not isinstance(given, Mapping):
        raise Refused("The answer is not readable. Reload the page.")
    if kind == "consent":
        accepted, language = given.get("accepted"), given.get("language")
        if not isinstance(accepted, bool) or language not in design.languages:
            raise Refused("Say whether you take part, in one of the study's languages.")
        return Answer(stored={"accepted": accepted, "language": language})
    if kind == "volume":
        return Answer(stored={"volume": _number(given.get("volume"), 0.0, 1.0, "volume")})
    if kind == "headphones":
        choices = given.get("choices")
        if not isinstance(choices, list) or len(choices) != HEADPHONE_TRIALS:
            raise Refused(f"Choose a sound in each of the {HEADPHONE_TRIALS} trials.")
        if any(isinstance(c, bool) or not isinstance(c, int) or not 1 <= c <= INTERVALS for c in choices):
            raise Refused(f"Each choice is 1 to {INTERVALS}.")
        score = sum(choice == right for choice, right in zip(choices, secret["right"], strict=True))
        return Answer(stored={"choices": choices, "score": score})
    if kind == "questions":
        return Answer(stored={"answers": _form(design.questions, given.get("answers"))})
    if kind in ("trial", "repeat", "practice", "instructed"):
        paired = design.trial is TrialType.PAIR and len(slots) == 2
        return _pair(slots, given) if paired else _ratings(slots, given)
    raise Refused("There is nothing to answer on this page.", 409, "order")


def _ratings(slots: Sequence[str], given: Mapping[str, Any]) -> Answer:
    ratings = given.get("ratings")
    if not isinstance(ratings, list) or any(not isinstance(rating, Mapping) for rating in ratings):
        raise Refused("The ratings are not readable. Reload the page.")
    named = [rating.get("slot") for rating in ratings]
    if sorted(map(str, named)) != sorted(slots):
        raise Refused("Those ratings are not for the soundtracks of this page. Reload the page.")
    return Answer(
        tuple(
            Rated(
                str(rating["slot"]),
                _number(rating.get("value"), 0.0, 100.0, "rating"),
                _number(rating.get("listened_s"), 0.0, _LATEST_S, "listening time"),
            )
            for rating in ratings
        )
    )


def _pair(slots: Sequence[str], given: Mapping[str, Any]) -> Answer:
    """A preference is kept as two complementary values: 50 and 50 is no preference."""
    value = _number(given.get("preference"), 0.0, 100.0, "preference")
    listened = given.get("listened_s")
    if not isinstance(listened, list) or len(listened) != 2:
        raise Refused("The listening times are not readable. Reload the page.")
    seconds = [_number(one, 0.0, _LATEST_S, "listening time") for one in listened]
    first, second = slots
    return Answer((Rated(first, 100.0 - value, seconds[0]), Rated(second, value, seconds[1])))


def _form(questions: Sequence[Question], given: object) -> dict[str, Any]:
    if not isinstance(given, Mapping) or set(given) - {question.id for question in questions}:
        raise Refused("Those answers are not to the questions of this study. Reload the page.")
    kept: dict[str, Any] = {}
    for question in questions:
        value = given.get(question.id)
        if value in (None, ""):
            if question.required:
                raise Refused(f"The question “{next(iter(question.label.values()))}” needs an answer.")
            continue
        if question.kind == "choice":
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(question.options):
                raise Refused("Choose one of the options that are shown.")
            kept[question.id] = value
        elif question.kind == "text":
            if not isinstance(value, str) or len(value) > LONGEST_ANSWER:
                raise Refused(f"An answer may have {LONGEST_ANSWER} characters; this one is longer.")
            kept[question.id] = clean(value)
        else:
            kept[question.id] = _number(value, question.lowest, question.highest, "answer")
    return kept


def checked_events(given: object) -> list[Happening]:
    """The events of one message.

    Raises:
        Refused: They are too many, or not events.
    """
    if given is None:
        return []
    if not isinstance(given, list) or len(given) > MAX_EVENTS:
        raise Refused(f"At most {MAX_EVENTS} events are taken at once.")
    return [_event(entry) for entry in given]


def _event(entry: object) -> Happening:
    if not isinstance(entry, Mapping) or entry.get("kind") not in EVENT_KINDS:
        raise Refused("An event of the log is not readable. Reload the page.")
    slot = entry.get("slot")
    if slot is not None and (isinstance(slot, bool) or not isinstance(slot, int) or not 0 <= slot < 16):
        raise Refused("An event of the log is about no soundtrack of this page. Reload the page.")
    return Happening(
        checked_id(entry.get("id"), "id of an event"),
        str(entry["kind"]),
        _number(entry.get("at_s"), 0.0, _LATEST_S, "time of an event"),
        _perhaps(entry.get("media_s")),
        slot,
        _perhaps(entry.get("value")),
    )


def _perhaps(value: object) -> float | None:
    return None if value is None else _number(value, 0.0, _LATEST_S, "place in the clip")


def _number(value: object, lowest: float, highest: float, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(f"The {what} must be a number from {lowest:g} to {highest:g}.")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or not lowest <= number <= highest:
        raise Refused(f"The {what} must be a number from {lowest:g} to {highest:g}.")
    return number


def clean(text: str) -> str:
    """`text` as every database takes it: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def agent_class(header: str) -> str:
    """The kind of browser and device, and no more: "chrome desktop", "safari phone", "other"."""
    header = header[:400].lower()
    browser = next(
        (
            name
            for mark, name in (("edg/", "edge"), ("firefox", "firefox"), ("chrom", "chrome"), ("safari", "safari"))
            if mark in header
        ),
        "other",
    )
    tablet = "ipad" in header or ("android" in header and "mobile" not in header)
    device = "tablet" if tablet else "phone" if "mobi" in header else "desktop"
    return f"{browser} {device}"
