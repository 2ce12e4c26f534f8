"""Chord progressions as data, by harmonic vocabulary and mode.

Each is eight bars: a phrase that opens (four bars) and, after "||", a phrase that answers it and closes. Bars are
separated by "|"; two chords in one bar share it.
"""

from __future__ import annotations

_TEXT: dict[str, dict[str, tuple[str, ...]]] = {
    "pop": {
        "major": (
            "I | V | vi | IV || I | V | IV V | I",
            "I | vi | IV | V || I | vi | IV V | I",
            "I | IV | vi | V || vi | IV | V | I",
            "I | iii | IV | V || vi | iii | IV V | I",
            "Iadd9 | IVadd9 | vi7 | Vsus4 V || Iadd9 | IVadd9 | Vsus4 V | I",
        ),
        "minor": (
            "i | bVI | bIII | bVII || i | bVI | bVII | i",
            "i | bVII | bVI | bVII || i | iv | bVI bVII | i",
            "i | iv | bVI | V || i | iv | V | i",
            "i | bIII | bVII | iv || bVI | bVII | i | i",
        ),
    },
    "classical": {
        "major": (
            "I | ii/3 | I/5 | V || I | IV | I/5 V7 | I",
            "I | vi | ii | V || I/3 | IV | V7 | I",
            "I | V/3 | vi | iii || IV | I/3 | ii/3 V7 | I",
            "I | IV | V/3 | V || vi | ii | V7 | I",
        ),
        "minor": (
            "i | iv | i/5 | V || i | bVI | iv V7 | i",
            "i | bVI | iidim/3 | V || i/3 | iv | V7 | i",
            "i | bVII | bVI | V || i | iv | i/5 V7 | i",
            "i | V/3 | i | V || bVI | bIII | iv V7 | i",
        ),
    },
    "cinematic": {
        "major": (
            "I | V/3 | vi | IV || I/3 | IV | Vsus4 V | I",
            "I | ii7 | vi | IV || vi | IV | Vsus4 V | I",
            "Iadd9 | vi7 | IVadd9 | V || ii7 | IV | Vsus4 V | I",
            "I | bVII | IV | V || I | bVII | IV V | I",
        ),
        "minor": (
            "i | bVI | bIII | bVII || i | bVI | iv V | i",
            "i | bVI | iv | Vsus4 V || i | bIII | bVI bVII | i",
            "iadd9 | bVImaj7 | bIII | bVII || iv | bVI | Vsus4 V | i",
            "i | v/3 | bVI | iv || bVI | bVII | V | i",
        ),
    },
    "dark": {
        "minor": (
            "i | bVI | iv | V || i | bII | V | i",
            "i | i | bVI | bVII || bVI | iv | V | i",
            "i | bVI | bII | V || iv | bVI | V | i",
        ),
    },
    "horror": {
        "minor": (
            "i | bII/5 | i | viidim7 || i | bvi | bII | i",
            "iadd9 | bvi | i | idim || bII | bvi | viidim7 | i",
            "i | idim | bvi | viidim7 || i | bII | iidim | i",
        ),
    },
    "jazz": {
        "major": (
            "Imaj7 | vi7 | ii9 | V13 || Imaj7 VI7b9 | ii7 V13 | I69 | I69",
            "ii9 | V13 | Imaj9 | VI7b9 || ii9 | V7b9 | Imaj9 | I69",
            "Imaj7 | I7 | IVmaj7 | iv7 || iii7 VI7 | ii7 V7 | I69 | I69",
        ),
        "minor": (
            "i7 | iv7 | iim7b5 | V7b9 || i7 bVI7 | iim7b5 V7b9 | i6 | i6",
            "iv7 | bVII7 | bIIImaj7 | bVImaj7 || iim7b5 | V7b9 | i6 | i6",
        ),
    },
    "bossa": {
        "major": (
            "Imaj9 | Imaj9 | II9 | II9 || ii9 | V13 | Imaj9 | I69",
            "Imaj9 | VI7b9 | ii9 | V13 || iii7 | ii9 V7b9 | Imaj9 | I69",
        ),
        "minor": (
            "i9 | i9 | iim7b5 | V7b9 || i9 bVImaj7 | iim7b5 V7b9 | i6 | i6",
            "i9 | iv9 | bVII9 | bIIImaj9 || bVImaj7 | iim7b5 V7b9 | i6 | i6",
        ),
    },
    "blues": {
        "major": ("I7 | IV7 | I7 | I7 || IV7 | I7 | V7 IV7 | I7", "I7 | I7 | IV9 | I7 || V9 | IV9 | I7 V7 | I7"),
        "minor": ("i7 | iv7 | i7 | i7 || iv7 | i7 | bVI7 V7 | i7",),
    },
    "folk": {
        "major": (
            "I | IV | I | V || I | IV | I V | I",
            "I | V | IV | I || vi | IV | V | I",
            "I | I | IV | V || IV | I | V | I",
            "I | vi | IV | V || IV | I | ii V | I",
        ),
        "minor": (
            "i | bVII | i | v || i | bVII | iv v | i",
            "i | bIII | bVII | v || i | bVI | bVII | i",
            "i | iv | bVII | bIII || bVI | iv | v | i",
        ),
    },
    "loop": {
        "major": (
            "I | V | vi | IV || I | V | IV | V",
            "vi | IV | I | V || vi | IV | I | V",
            "IV | V | vi | I || IV | V | I | I",
        ),
        "minor": (
            "i | bVI | bIII | bVII || i | bVI | bIII | bVII",
            "i | i | bVI | bVII || bVI | bVII | i | i",
            "i | bIII | bVII | iv || i | bIII | bVI | bVII",
            "iadd9 | bVI | iv | bVII || i | bVI | iv | v",
        ),
    },
    "lofi": {
        "major": (
            "IVmaj7 | iii7 | ii9 | Imaj9 || IVmaj7 | iii7 VI7 | ii9 V13 | Imaj9",
            "Imaj9 | vi9 | ii9 | V13 || Imaj9 | vi9 | ii9 V13 | Imaj9",
            "ii9 | V13 | Imaj9 | IVmaj7 || ii9 | V7b9 | Imaj9 | I69",
        ),
        "minor": (
            "i9 | iv9 | bVII9 | bIIImaj7 || bVImaj7 | iim7b5 | V7b9 | i9",
            "i9 | bVImaj7 | iv9 | v7 || bVImaj7 | v7 | iv9 V7b9 | i9",
        ),
    },
    "soul": {
        "major": (
            "Imaj7 | iii7 | IVmaj7 | V7sus4 || vi7 | ii9 | IVmaj7 V7sus4 | Imaj9",
            "Imaj9 | vi9 | ii9 | V13 || IVmaj7 | iii7 vi7 | ii9 V7sus4 | Imaj7",
        ),
        "minor": (
            "i9 | iv9 | i9 | v7 || bVImaj7 | iv9 | V7b9 | i9",
            "i7 | bVImaj7 | bIIImaj7 | bVII7 || iv9 | v7 | bVImaj7 V7b9 | i9",
        ),
    },
    "funk": {
        "major": ("I9 | I9 | IV9 | I9 || I9 | I9 | IV9 V7sus4 | I9", "I9 | IV9 | I9 | V9 || I9 | IV9 | bVII9 V9 | I9"),
        "minor": ("i7 | i7 | IV9 | i7 || i7 | i7 | bVI7 V7 | i7", "i9 | IV9 | i9 | IV9 || bVImaj7 | bVII7 | V7 | i9"),
    },
    "reggae": {
        "major": (
            "I | IV | I | V || I | IV | V | I",
            "I | V | vi | IV || I | V | IV | I",
            "I | ii | IV | I || IV | I | V | I",
        ),
        "minor": ("i | bVII | i | bVII || iv | i | bVII | i", "i | iv | bVII | bIII || i | iv | v | i"),
    },
    "latin": {
        "major": (
            "I | IV | V7 | V7 || I | IV | V7 | I",
            "I | vi | ii | V7 || ii | V7 | I VI7 | ii V7",
            "I | I | ii7 | V7 || ii7 | V7 | I | I",
        ),
        "minor": (
            "i | iv | V7 | V7 || iv | i | V7 | i",
            "i | bVII | bVI | V7 || i | iv | V7 | i",
            "i | i | V7 | V7 || iv | i | V7 | i",
        ),
    },
    "rock": {
        "major": (
            "I | bVII | IV | I || I | bVII | IV V | I",
            "I | IV | V | IV || I | IV | V | I",
            "I | V | vi | IV || vi | IV | V | I",
        ),
        "minor": (
            "i | bVII | bVI | bVII || i | bVI | bVII | i",
            "i | bIII | bVII | iv || bVI | bVII | i | i",
            "i | bVI | bVII | i || iv | bVI | bVII | i",
        ),
    },
    "ambient": {
        "major": (
            "Iadd9 | Iadd9 | IVmaj7 | IVmaj7 || vi7 | IVmaj7 | Iadd9 | Iadd9",
            "Iadd9 | IVmaj7 | Iadd9 | Vsus4 || IVmaj7 | vi7 | IVadd9 | Iadd9",
        ),
        "minor": (
            "iadd9 | iadd9 | bVImaj7 | bVImaj7 || bIIImaj7 | bVImaj7 | iadd9 | iadd9",
            "iadd9 | bVImaj7 | iv9 | iadd9 || bVImaj7 | bVII | iv9 | iadd9",
        ),
    },
    "baroque": {
        "major": (
            "I | IV | viidim | iii || vi | ii | V7 | I",
            "I | V/3 | vi | V || IV | I/3 | ii/3 V7 | I",
            "I | ii/3 | V7/3 | I || vi | ii/3 | I/5 V7 | I",
        ),
        "minor": (
            "i | iv | bVII | bIII || bVI | iidim | V7 | i",
            "i | V/3 | i | V || bVI | iv | i/5 V7 | i",
            "i | iidim/3 | V7/3 | i || iv | bVI | V7 | i",
        ),
    },
    "march": {
        "major": ("I | I | V7/3 | I || IV | I/5 | V7 | I", "I | V | I | V || vi | ii | V7 | I"),
        "minor": ("i | i | V/3 | i || iv | i/5 | V7 | i", "i | iv | V | i || bVI | iv | V7 | i"),
    },
    "world": {
        "major": ("I | I | IV | I || I | V | IV | I", "I | ii | I | V || I | IV | v | I"),
        "minor": ("i | i | bVII | i || iv | bVII | v | i", "i | bVII | i | v || bIII | bVII | v | i"),
    },
    "modal": {
        "dorian": ("i | IV | i | IV || i | bVII | IV | i", "i7 | IV7 | ii7 | i7 || bIII | IV | bVII | i"),
        "phrygian": ("i | bII | i | bII || bIII | bII | bvii | i", "i | bvii | bII | i || iv | bII | bvii | i"),
        "lydian": ("I | II | I | II || vi | II | vii | I", "Imaj7 | II | Imaj7 | vii || iii | II | V | I"),
        "mixolydian": ("I | bVII | IV | I || I | v | bVII | I", "I | IV | bVII | I || ii | bVII | IV | I"),
        "locrian": ("idim | bII | idim | bvii || bV | bVI | bII | idim",),
        "phrygian dominant": ("I | bII | I | bII || iv | bII | bvii | I", "I | iv | bII | I || iv | bII | bII | I"),
        "harmonic minor": ("i | iv | V | i || bVI | iidim | V7 | i", "i | V | i | iv || bVI | iv | V7 | i"),
    },
}

EightBars = tuple[tuple[str, ...], ...]
"""Chord symbols of each bar."""


def _parse(text: str) -> EightBars:
    bars = tuple(tuple(bar.split()) for bar in text.replace("||", "|").split("|"))
    if len(bars) != 8:
        raise ValueError(f"{text!r} has {len(bars)} bars")
    return bars


PROGRESSIONS: dict[str, dict[str, tuple[EightBars, ...]]] = {
    vocabulary: {mode: tuple(_parse(text) for text in texts) for mode, texts in modes.items()}
    for vocabulary, modes in _TEXT.items()
}


def choices(vocabulary: str, mode: str) -> tuple[EightBars, ...]:
    """The progressions of a style's vocabulary in a mode; the church modes have their own."""
    if mode in PROGRESSIONS["modal"]:
        return PROGRESSIONS["modal"][mode]
    bank = PROGRESSIONS[vocabulary]
    if mode in bank:
        return bank[mode]
    return PROGRESSIONS["cinematic"][mode]
