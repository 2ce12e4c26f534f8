"""Is this English? The arranger reads English only and says so."""

from __future__ import annotations

import re
import unicodedata

from musiscene.soundtracks._arranger.words import STOP_WORDS

_SCRIPTS = {
    "CJK": "Chinese",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "HANGUL": "Korean",
    "CYRILLIC": "Russian or a relative",
    "ARABIC": "Arabic or a relative",
    "HEBREW": "Hebrew",
    "GREEK": "Greek",
    "DEVANAGARI": "Hindi or a relative",
    "THAI": "Thai",
    "BENGALI": "Bengali",
    "TAMIL": "Tamil",
    "ARMENIAN": "Armenian",
    "GEORGIAN": "Georgian",
}


def foreign_language(text: str) -> str | None:
    """The language that `text` seems to be in, when it is not English; None for English and for what has no words."""
    letters = [character for character in text if character.isalpha()]
    if not letters:
        return None
    scripts: dict[str, int] = {}
    for character in letters[:2000]:
        script = unicodedata.name(character, "").split(" ")[0]
        scripts[script] = scripts.get(script, 0) + 1
    total = sum(scripts.values())
    others = {script: count for script, count in scripts.items() if script in _SCRIPTS}
    if sum(others.values()) > 0.4 * total:
        if "HIRAGANA" in others or "KATAKANA" in others:
            return "Japanese"
        return _SCRIPTS[max(others, key=lambda script: (others[script], script))]
    words = re.findall(r"[^\W\d_]+", text.lower())[:400]
    counts = {language: sum(word in stops for word in words) for language, stops in STOP_WORDS.items()}
    best = max(counts, key=lambda language: (counts[language], language == "English"))
    if best != "English" and counts[best] >= 2 and counts[best] > 1.3 * counts["English"] + 0.5:
        return best
    return None
