"""What the arranger understands of words."""

from __future__ import annotations

import json
import random
import string

import pytest

from musiscene.errors import RequestError
from musiscene.soundtracks.sketch import CURVES, Brief, read_brief


@pytest.mark.parametrize(
    ("text", "key", "mode"),
    [
        ("a waltz in A minor", "A", "minor"),
        ("F sharp minor, slow", "F#", "minor"),
        ("something in B-flat major", "Bb", "major"),
        ("Key of E♭, gentle", "Eb", "major"),
        ("rock in C#m", "C#", "minor"),
        ("D dorian flute", "D", "dorian"),
        ("a piece in a minor key", "", "minor"),
        ("it was a minor inconvenience on a sunny happy day", "", "major"),
        ("a major victory parade, joyful", "", "major"),
    ],
)
def test_key_and_mode_are_read_and_everyday_words_are_not_keys(text: str, key: str, mode: str) -> None:
    """A tonic and a mode are found in their many spellings, and "a minor inconvenience" is no A minor."""
    brief = read_brief(text)

    assert (brief.key, brief.mode) == (key, mode)


@pytest.mark.parametrize(
    ("text", "low", "high", "asked"),
    [
        ("jazz at 132 BPM", 132, 132, True),
        ("bpm: 96, folk", 96, 96, True),
        ("pop, one hundred and ten beats per minute", 110, 110, True),
        ("between 80 and 90 bpm, piano", 80, 90, False),
        ("strings, adagio", 60, 74, False),
        ("a very slow piano piece", 48, 62, False),
        ("fast-paced orchestral music", 130, 160, False),
    ],
)
def test_tempo_is_read_from_numbers_ranges_and_words(text: str, low: float, high: float, asked: bool) -> None:
    """A number is kept exactly; ranges, Italian terms and plain words give a range that holds the tempo."""
    brief = read_brief(text)

    assert low <= brief.tempo_bpm <= high
    assert brief.tempo_asked is asked


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("calm music, no drums", {"drums"}),
        ("strings without piano or brass, slow", {"piano", "brass"}),
        ("drumless guitar music", {"drums"}),
        ("a vocal-free pop song", {"voice"}),
        ("folk with neither drums nor bass", {"drums", "bass"}),
        ("do not use any guitars, just strings", {"guitar"}),
        ("no synths, no brass and a soft piano", {"synth", "brass"}),
        ("please keep the brass out of it, strings only", {"brass"}),
        ("piano and cello; percussion is not wanted", {"drums"}),
        ("the piano leads and brass instruments are absent", {"brass"}),
        ("a ballad, trumpets should stay out", {"trumpet"}),
        ("it does not contain any drums", {"drums"}),
        ("lo-fi w/out guitar", {"guitar"}),
        ("a podcast bed with no beat", {"drums"}),
        ("rock with drums and guitar", set()),
        ("a calm atmosphere, no hurry", set()),
    ],
)
def test_leave_outs_are_read_in_their_many_forms(text: str, left_out: set[str]) -> None:
    """What is denied is left out, and a list after one "no" is denied as a whole."""
    brief = read_brief(text)

    assert set(brief.exclude) == left_out
    assert not left_out & set(brief.instruments)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("starts quietly and builds", "build"),
        ("epic music, getting louder and louder, growing stronger", "build"),
        ("the music slowly fades away", "fade"),
        ("opens loud, then calms down into silence", "fade"),
        ("swells and then calms", "arch"),
        ("loud rock, then a sudden drop to silence", "drop"),
        ("a music box that suddenly bursts into an orchestra", "burst"),
        ("First a lone oboe, later the whole orchestra in full force", "build"),
        ("Loud guitars at the top, then everything drains away", "fade"),
        ("a thunderous opening gives way to a solitary piano", "fade"),
        ("The tension rises slowly until it is unbearable", "build"),
        ("it grows step by step to an enormous finish", "build"),
    ],
)
def test_a_curve_of_energy_is_read(text: str, name: str) -> None:
    """The course of energy that words ask for becomes a curve."""
    assert read_brief(text).energy_curve == CURVES[name]


def test_no_curve_is_invented() -> None:
    """Words that say nothing of a change leave the curve to the form and the picture."""
    assert read_brief("happy pop with guitar at 110 bpm, in a tall building").energy_curve == ()


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("upbeat bluegrass with banjo", "bluegrass"),
        ("lo-fi beats to study to", "lofi"),
        ("scary horror film", "horror"),
        ("a bossa nova for the beach", "bossa_nova"),
        ("upbeat reggea", "reggae"),
        ("epic trailer music", "trailer"),
        ("techno banger", "electronic_dance"),
        ("not jazz but baroque harpsichord", "baroque"),
        ("The music is upbeat and energetic, with elements of funk and soul, played in a club.", "funk"),
        ("The music is slow and meditative, suitable for yoga and sleep.", "ambient"),
    ],
)
def test_styles_are_recognised_typos_included(text: str, style: str) -> None:
    """A named style wins, also when it is misspelt or another one is denied."""
    assert read_brief(text).style == style


def test_a_scene_gives_mood_and_tempo() -> None:
    """A chase is fast, tense and in minor; a lullaby is neither."""
    chase, lullaby = read_brief("like a chase at night"), read_brief("a lullaby for a sleeping child")

    assert chase.mode == "minor"
    assert chase.tempo_bpm > lullaby.tempo_bpm
    assert chase.energy > lullaby.energy + 0.3
    assert chase.tension > lullaby.tension


def test_a_denied_mood_counts_the_other_way() -> None:
    """Music that is "not happy" is less happy than happy music."""
    assert read_brief("piano, not happy").valence < read_brief("piano, happy").valence - 0.5


@pytest.mark.parametrize(
    "text",
    [
        "una canción triste y lenta para el final",
        "悲伤的钢琴曲",
        "ruhige Musik mit Klavier und ohne Schlagzeug",
        "спокойная музыка",
    ],
)
def test_other_languages_get_a_neutral_brief_that_says_so(text: str) -> None:
    """Only English is read, and the sentence says it."""
    brief = read_brief(text)

    assert brief.style == Brief().style
    assert "only English is read" in brief.sentence()


@pytest.mark.parametrize(
    "text", ["", "   ", "🎵🎹🔥", "?!...", "\x00\x01", "a" * 100_000, "no " * 30_000, "((((" * 5000]
)
def test_any_text_gives_a_brief_and_a_sentence(text: str) -> None:
    """Nothing that a person can type is an error."""
    brief = read_brief(text)

    assert brief.sentence()
    assert Brief.from_dict(json.loads(json.dumps(brief.as_dict()))) == brief


def test_random_characters_give_briefs_that_survive_json() -> None:
    """The brief of any text goes to JSON and comes back the same."""
    rng = random.Random(4)
    words = [
        "no",
        "drums",
        "in",
        "A",
        "minor",
        "120",
        "bpm",
        "slow",
        "then",
        "builds",
        "piano",
        "without",
        "7/8",
        "-",
        ",",
        ".",
    ]
    for _ in range(40):
        noise = "".join(rng.choices(string.printable, k=20))
        text = " ".join(rng.choices([*words, noise], k=12))
        brief = read_brief(text)
        assert Brief.from_dict(json.loads(json.dumps(brief.as_dict()))) == brief


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tempo_bpm", "fast"),
        ("tempo_bpm", 1000),
        ("style", "polkacore"),
        ("key", "H"),
        ("mode", "sad"),
        ("meter", "17/3"),
        ("energy", 2),
        ("energy_curve", [0.5]),
        ("instruments", ["kazoo orchestra"]),
        ("nonsense", 1),
        ("only", "yes"),
    ],
)
def test_edits_that_cannot_be_used_are_refused_in_a_sentence(field: str, value: object) -> None:
    """The message names the field and the value, or what can be chosen."""
    with pytest.raises(RequestError) as refused:
        Brief().with_overrides({field: value})

    assert field in str(refused.value) and str(refused.value).endswith((".", ")"))


def test_edits_replace_what_was_read() -> None:
    """A person's edits win over the words."""
    brief = read_brief("slow sad piano").with_overrides(
        {"tempo_bpm": 150, "key": "Bb major", "style": "rock", "exclude": "drums, piano", "energy_curve": "build"}
    )

    assert (brief.tempo_bpm, brief.tempo_range) == (150, (150, 150))
    assert (brief.key, brief.mode, brief.style) == ("Bb", "major", "rock")
    assert brief.exclude == ("drums", "piano")
    assert brief.energy_curve == CURVES["build"]
