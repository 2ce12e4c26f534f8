"""Share of captions that are about a scene and not only about sound.

A sentence tells of a scene when it names something that could be filmed: at least one word for a person, an animal, a
place, weather and light, or a thing. Where it speaks of music as well, that has to be a person, or two such words, or
one and an action. Sentences that say what music is suitable for do not count, and those whose subject is the music need
two words that could be filmed. A caption is about a scene when one of its sentences is.

The words are listed in `scene_words.json`; it is a measure of vocabulary, made to compare systems with, and its
definition is as public as its figure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from musiscene.metrics.variety import words

_SEEN = ("people", "animals", "places", "nature", "things", "body")
_USE = re.compile(
    r"\b(?:suitable|suited|suits|ideal|appropriate|(?:perfect|great|good|fit) for|used (?:in|for|as)"
    r"|(?:would|could|can|may|might) be (?:used|classified|a good)|(?:the )?(?:context|genre) (?:is|of)|soundtrack)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.!?;\n]+")


@cache
def _lists() -> dict[str, frozenset[str]]:
    content = json.loads((Path(__file__).with_name("scene_words.json")).read_text(encoding="utf-8"))
    return {name: frozenset(text.split()) for name, text in content.items()}


def tells_of_a_scene(caption: str) -> bool:
    """Whether a caption is about a scene; see the module's definition."""
    return any(_sentence_does(words(sentence)) for sentence in _SENTENCE.findall(caption) if not _USE.search(sentence))


def scene_share(captions: Sequence[str]) -> float:
    """Share of `captions` that are about a scene; nan when there are none."""
    return sum(map(tells_of_a_scene, captions)) / len(captions) if captions else float("nan")


def _sentence_does(sentence: Sequence[str]) -> bool:
    lists = _lists()
    found = set(sentence)
    about_music = found & lists["about_music"]
    seen = {word for name in _SEEN for word in found & lists[name]}
    done = (found & lists["actions"]) - seen
    if sentence[:1] and _subject_is_music(sentence, lists["about_music"]):
        return len(seen) >= 2
    return bool(seen) and (len(seen) + len(done) >= 2 or not about_music or bool(found & lists["people"]))


def _subject_is_music(sentence: Sequence[str], about_music: frozenset[str]) -> bool:
    """Whether a word of music is among the first three words, before any verb is likely."""
    return any(word in about_music for word in sentence[:3])
