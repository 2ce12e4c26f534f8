"""Is this English? The arranger reads English only and says so."""

from __future__ import annotations

import re
import unicodedata

_STOP_WORDS: dict[str, frozenset[str]] = {
    "English": frozenset(
        "the and of with a an is in to it for that this on as by at from are be music song without no slow fast like i my "
        "very piece sound piano guitar drums sad happy calm dark track builds beat then but not old sounds theme".split()
    ),
    "Spanish": frozenset(
        "el la los las de del y con una un en que para por música musica es muy sin lento lenta rápida rápido alegre triste "
        "como más pero tambores guitarra canción suave noche tranquila".split()
    ),
    "German": frozenset(
        "der die das und mit ein eine einen einem ist im nicht ohne für auf musik sehr langsam langsame langsames schnell schnelle "
        "ruhig ruhige traurig traurige fröhlich fröhliche wie von zu klavier schlagzeug ruhiges trauriges".split()
    ),
    "French": frozenset(
        "le la les des de du et avec un une est dans pour sans musique très lent lente rapide joyeux joyeuse triste comme qui sur au "
        "piano guitare batterie calme douce".split()
    ),
    "Italian": frozenset(
        "il lo la gli le di del della con un una è per senza musica molto lento lenta veloce triste allegra come che pianoforte "
        "chitarra batteria dolce".split()
    ),
    "Portuguese": frozenset(
        "os as de do da com um uma é em para sem música muito lenta lento rápida alegre triste como que bateria violão "
        "calma suave não".split()
    ),
    "Dutch": frozenset(
        "de het een en met van is in voor zonder muziek zeer langzaam snel vrolijk droevig rustig op niet".split()
    ),
    "Polish": frozenset("na bez jest muzyka bardzo wolna szybka smutna wesoła spokojna oraz jak nie".split()),
    "Turkish": frozenset("ve bir ile için müzik çok yavaş hızlı üzgün mutlu sakin olmadan gibi bu".split()),
    "Swedish": frozenset("och en ett med är på för utan musik mycket långsam snabb glad sorglig lugn som inte".split()),
    "Vietnamese": frozenset("và một với là trong cho không nhạc rất chậm nhanh buồn vui nhẹ nhàng của".split()),
    "Indonesian": frozenset(
        "dan yang dengan di untuk tanpa musik sangat lambat cepat sedih gembira tenang ini itu".split()
    ),
}

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
    counts = {language: sum(word in stops for word in words) for language, stops in _STOP_WORDS.items()}
    best = max(counts, key=lambda language: (counts[language], language == "English"))
    if best != "English" and counts[best] >= 2 and counts[best] > 1.3 * counts["English"] + 0.5:
        return best
    return None
