"""Reads which instruments are wanted and which are not: "no drums", "without piano or strings", "only a cello"."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from musiscene.soundtracks._arranger.instruments import DRUMS, FAMILY_WORDS, INSTRUMENTS

_ENDS = (
    r"(?=[.;:!?]|$|,?\s+\b(?:but|with|at|in|that|which|then|although|while|just|only|instead|please|"
    r"played|building|builds|featuring|for|because|so|it|use|using|add|and\s+(?:a|an|the|with|then|it|"
    r"is|at|some|lots|plenty)|very)\b)"
)
_NEGATIONS = re.compile(
    r"(?:\b(?:no|without(?: any| the| a)?|w/o(?:ut)?|minus|(?:do not|don't|dont|never|nobody|no one|can't|cannot) "
    r"(?:wants?|needs?|uses?|adds?|includes?|plays?|hears?|stands?|likes?)(?: to (?:hear|have))?(?: any| the)?|"
    r"(?:does|do|should|must|shall|may|can|did|would|will)(?: not|n't) "
    r"(?:have|contain|include|feature|use|involve|be|need|employ|play)(?: any| the)?|no need (?:for|of)(?: any)?|"
    r"(?:hold|lose|cut|kill|ditch|forget|spare me|spare us|scrap|banish|ban) (?:the|all|any)|"
    r"avoid(?:s|ing|ed)?(?: any)?|"
    r"leav\w+ out(?: the| any)?|leave off|exclud\w+|skip(?: the)?|omit\w*(?: the)?|remove(?: the)?|lack(?:s|"
    r"ing)?(?: of| any)?|free of|"
    r"devoid of|absence of|absent|instead of|rather than|anything but|free from|there are no|there is no|"
    r"there's no|not(?: a| any| with)?|"
    r"zero|sans|drop the|mute the|nor|neither|nothing))\s+(?P<list>[^.;:!?]{1,90}?)" + _ENDS
)
# "keep the brass out", "leave all percussion aside": the list stands inside the denial.
_AROUND = re.compile(
    r"\b(?:keep|keeping|leav\w+|left|cut|take|taking|get|strip\w*)\s+(?:the |all |any |out the )?"
    r"(?P<list>[^.,;:!?]{2,48}?)\s+(?:out|away|aside|at home)\b"
)
# "drums are not wanted", "guitars should be absent": the list stands before it.
_BEFORE = re.compile(
    r"(?P<list>\b[^.;:!?]{2,60}?)\s+(?:(?:is|are|was|were|(?:should|must|shall|can|may|will|to) be|being|remains?|"
    r"stays?|has been|have been)\s+(?:\w+ly )?(?:absent|left out|missing|omitted|excluded|removed|unwanted|unwelcome|"
    r"forbidden|banned|off limits|out of the question|taboo|silent throughout|not (?:wanted|needed|present|used|"
    r"heard|allowed|welcome|required|involved|playing|featured|included))|(?:should|must|may|do|does|will|shall) not "
    r"(?:play|appear|sound|be (?:heard|used|present|there|included|featured))|"
    r"(?:(?:should|must|shall|will|to) )?(?:stays?|keeps?) (?:out|away|silent|quiet|off)(?! of (?:the|my|our) )|"
    r"(?:don't|doesn't|mustn't|shouldn't|"
    r"won't) "
    r"(?:play|appear|sound))\b"
)
_BEATLESS = re.compile(r"\b(?:no|without(?: a| any)?|zero|w/o(?:ut)?) beats?\b(?! drops?)|\bbeatless\b")
_SUFFIX = re.compile(r"\b(?P<what>[a-z]+)[- ]?(?:less|free)\b")
_ONLY = re.compile(
    r"\b(?:nothing (?:but|except)|only|just|solely|exclusively|nothing more than|consists? (?:only|"
    r"solely) of|alone|unaccompanied|solo|"
    r"by itself|on its own)\b"
)


class Wishes(NamedTuple):
    """What should play and what should not.

    Attributes:
        instruments: Names of instruments, or "drums", in the order they were named.
        only: Nothing else should play.
        exclude: Instruments or families.
        negated: Stretches of the text that deny something.
    """

    instruments: tuple[str, ...]
    only: bool
    exclude: tuple[str, ...]
    negated: list[tuple[int, int]]


@cache
def _names() -> tuple[re.Pattern[str], dict[str, str]]:
    """A pattern of all words for instruments and families, and what each means; a specific word wins."""
    meaning: dict[str, str] = {}
    for family, words in FAMILY_WORDS.items():
        for word in words:
            meaning[word] = family
    for name, instrument in INSTRUMENTS.items():
        for word in instrument.words:
            meaning[word] = name
            meaning.setdefault(f"{word}s", name)
    for word in FAMILY_WORDS["drums"]:
        meaning[word] = DRUMS
    for word in ("strings", "string section", "string instruments"):
        meaning[word] = "strings"
    meaning |= {"brass": "brass", "horns": "brass", "woodwinds": "woodwinds", "woodwind": "woodwinds", "bass": "bass"}
    pattern = "|".join(sorted(map(re.escape, meaning), key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{pattern})(?![\w])"), meaning


def instrument_pattern() -> re.Pattern[str]:
    """Finds the words for instruments and families in lower-case text."""
    return _names()[0]


# Words that name an instrument and much else; alone they are not a wish.
_WEAK = frozenset(
    {
        "melody",
        "lead",
        "lead melody",
        "solo",
        "solos",
        "tune",
        "horn",
        "bell",
        "bells",
        "chip",
        "whistle",
        "whistling",
        "toms",
        "tom",
        "string",
        "overdrive",
        "distortion",
        "winds",
        "chant",
        "electronics",
        "electronic sounds",
        "electronic",
        "words sung",
        "low end",
        "lyrics",
        "vocal",
        "vocals",
        "voice",
        "voices",
        "singer",
        "singing",
        "vocalist",
        "keyboard",
        "keyboards",
        "keys",
        "chimes",
        "chime",
        "pads",
        "percussive",
        "tremolo",
        "zither",
    }
)


def read_wishes(text: str) -> Wishes:
    """Read lower-case `text`."""
    pattern, meaning = _names()
    exclude: list[str] = []
    negated: list[tuple[int, int]] = []
    nothing_but: list[tuple[int, int]] = []
    for match in _NEGATIONS.finditer(text):
        start, end = match.span("list")
        if re.match(r"(?:but|except|more than|else)\b", match["list"]) and match[0].startswith("nothing"):
            nothing_but.append((start, end))
            continue
        if re.match(
            r"(?:only|just|too|so|very|quite|really|necessarily|entirely|longer|matter|one|doubt|rush|hurry|but)\b",
            match["list"],
        ):
            continue
        end = start + _reach(match["list"], pattern)
        negated.append((start, end))
        for found in pattern.finditer(text, start, end):
            name = _excluded(found[0], meaning)
            if name not in exclude:
                exclude.append(name)
    for match in _AROUND.finditer(text):
        _deny(pattern, meaning, text, match.span("list"), exclude, negated)
    for match in _BEFORE.finditer(text):
        _deny(pattern, meaning, text, _subject(pattern, text, match.span("list")), exclude, negated)
    if _BEATLESS.search(text) and DRUMS not in exclude:
        exclude.append(DRUMS)
    for match in _SUFFIX.finditer(text):
        for form in (match["what"], match["what"] + "s"):
            if form in meaning and form not in ("bass",) and match["what"] not in ("rest", "end", "time"):
                exclude.append(_excluded(form, meaning))
                negated.append(match.span())
                break
    if re.search(r"\b(?:instrumental|instrumentals)\b", text) and not re.search(
        r"\b(?:not|non|isn't)[ -](?:an )?instrumental", text
    ):
        exclude.append("voice")
    acappella = re.search(r"\ba ?cap+ell?a\b", text)
    instruments: list[str] = []
    for found in pattern.finditer(text):
        if any(start <= found.start() < end for start, end in negated):
            continue
        word = found[0]
        name = meaning[word]
        if name in ("melody",) or (word in _WEAK and not _meant(text, found)):
            continue
        if name == "bass" and re.search(r"(?:drum and|double|upright|synth|drum & )\s*$", text[: found.start()]):
            continue
        if name not in instruments and name not in exclude:
            instruments.append(name)
    if acappella:
        return Wishes(
            ("choir", "voice"), True, tuple(dict.fromkeys([DRUMS, *(e for e in exclude if e != "voice")])), negated
        )
    only = _only(text, pattern, negated, nothing_but, instruments)
    return Wishes(tuple(instruments[:8]), only, tuple(dict.fromkeys(exclude)), negated)


_JOINT = re.compile(r"\s*(?:,|and|or|nor|&|/|,\s*(?:and|or|nor))\s*(?:any\s|the\s|all\s)?\s*")


def _subject(pattern: re.Pattern[str], text: str, span: tuple[int, int]) -> tuple[int, int]:
    """What a verb at the end of `span` speaks of: the last list of instruments before it, and no other."""
    found = list(pattern.finditer(text, *span))
    if not found or span[1] - found[-1].end() > 16:
        return (span[1], span[1])
    first = len(found) - 1
    while first > 0 and _JOINT.fullmatch(text, found[first - 1].end(), found[first].start()):
        first -= 1
    return (found[first].start(), span[1])


def _deny(
    pattern: re.Pattern[str],
    meaning: dict[str, str],
    text: str,
    span: tuple[int, int],
    exclude: list[str],
    negated: list[tuple[int, int]],
) -> None:
    """Leave out what is named within `span`."""
    found = [_excluded(one[0], meaning) for one in pattern.finditer(text, *span)]
    if found:
        negated.append(span)
        exclude += [name for name in found if name not in exclude]


def _reach(words: str, pattern: re.Pattern[str]) -> int:
    """How far a denial goes: over a list ("drums, bass or guitar"), but not into the next thought."""
    position = 0
    parts = re.split(r"(,\s*(?:and|or|nor)?\s+|\s+(?:and|or|nor|&)\s+|\s*/\s*)", words)
    reach = 0
    for index in range(0, len(parts), 2):
        part = parts[index]
        separator = parts[index - 1] if index else ""
        instrument = pattern.search(part)
        if index and instrument is None and "or" not in separator and "nor" not in separator:
            break
        if (
            index
            and separator.strip() == "and"
            and instrument is not None
            and re.match(r"(?:a|an|soft|gentle|lots|plenty|slow|some)\b", part)
        ):
            break
        if index and "," in separator and len(part.split()) > 3:
            break
        position = sum(len(piece) for piece in parts[: index + 1])
        reach = position
    return max(reach, 1)


def _excluded(word: str, meaning: dict[str, str]) -> str:
    """What a denied word rules out: "guitar" rules out all guitars, "acoustic guitar" only that one."""
    for family, words in FAMILY_WORDS.items():
        if word in words:
            return family
    return meaning[word]


def _meant(text: str, found: re.Match[str]) -> bool:
    """Whether an ambiguous word is said of music: after "with", "a … choir", next to another instrument's word."""
    before, after = text[max(0, found.start() - 28) : found.start()], text[found.end() : found.end() + 22]
    if found[0] in ("lyrics", "words sung", "singing", "singer", "vocalist", "low end"):
        return False
    return bool(
        re.search(
            r"\b(?:with|featuring|and|of|by|on|add|plus|soft|solo|gentle|female|male|distant|church|"
            r"electronic|warm|lush|synth)\s+(?:\w+\s+)?$",
            before,
        )
        and not re.match(r"\s+(?:music|dance|of the|sports?|genre|beat|elements)", after)
    )


def _only(
    text: str,
    pattern: re.Pattern[str],
    negated: list[tuple[int, int]],
    nothing_but: list[tuple[int, int]],
    instruments: list[str],
) -> bool:
    if not instruments:
        return False
    if nothing_but and any(pattern.search(text, start, end) for start, end in nothing_but):
        return True
    for match in _ONLY.finditer(text):
        word = match[0]
        if any(start <= match.start() < end for start, end in negated):
            continue
        after = text[match.end() : match.end() + 30]
        before = text[max(0, match.start() - 24) : match.start()]
        following = pattern.search(after)
        if word == "solo":
            # "solo piano" is the whole band; "a guitar solo" and "with a solo violin" are not.
            if (
                following
                and following.start() <= 2
                and not re.search(r"\b(?:with|and|a|the|featuring)\s+(?:a\s+)?$", before)
                and len(instruments) == 1
            ):
                return True
            continue
        if word in ("alone", "unaccompanied", "by itself", "on its own"):
            if pattern.search(before) or (word == "unaccompanied" and following):
                return True
            continue
        if following and re.fullmatch(r"\s+(?:a|an|one|the|some|two|\w+)?\s*(?:\w+\s+)?", after[: following.start()]):
            return True
    return False
