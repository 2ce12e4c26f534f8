"""The styles, as data: tempo, feel, harmony, instruments by layer, and the character of the melody."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Layer:
    """One line of the arrangement.

    Attributes:
        role: "comp", "pad", "arp", "bass", "melody", "counter" or "double".
        pattern: A name of `patterns.COMPING` (or `patterns.BASS`); unused by melodies.
        instruments: Alternatives; takes differ by them.
        enters: Energy from which it plays.
        pan, gain_db, reverb: Its place in the mix.
        register: Middle of the voicing, MIDI key.
        leaves: Energy above which it stops.
    """

    role: str
    pattern: str
    instruments: tuple[str, ...]
    enters: float = 0.0
    pan: float = 0.0
    gain_db: float = 0.0
    reverb: float = 0.25
    register: int = 60
    leaves: float = 1.01


@dataclass(frozen=True, slots=True)
class Style:
    """A musical style.

    Attributes:
        name: Its key in `STYLES`.
        title: For people.
        tempo: Usual range in beats per minute.
        meter: Usual meter.
        vocabulary: Its chord progressions.
        layers: Its arrangement.
        groove: Its drumming; empty for none.
        drums_enter: Energy from which drums play.
        drums_gain_db: Their level.
        swing: Where the second half of a pair falls: 0.5 straight, 0.667 triplets.
        swing_sixteenths: The pairs are sixteenths, not eighths.
        density: Notes of the melody a beat, roughly 0.3 to 2.
        syncopation: Chance that the melody anticipates a beat.
        articulation: How much of its length a melody note sounds.
        loose_ms: Spread of the players' timing.
        velocity: Softest and loudest velocity at energy 0 and 1.
        room: A name of `mix.ROOMS`.
        swells_db: How far held notes of pads and counter-lines rise and fall.
        pumps_db: How far everything but the drums dips at each stroke of the bass drum.
        slows: How much longer the last beat before the final chord is (ritardando); 0 keeps the beat.
        cadence: "functional" (dominant to tonic), "plagal" or "loop" (the loop goes on).
        valence, arousal, tension: The feeling it serves by itself.
        modes: The mode for a positive and for a negative feeling.
    """

    name: str
    title: str
    tempo: Range
    vocabulary: str
    layers: tuple[Layer, ...]
    groove: str = ""
    meter: str = "4/4"
    drums_enter: float = 0.3
    drums_gain_db: float = 0.0
    swing: float = 0.5
    swing_sixteenths: bool = False
    density: float = 1.0
    syncopation: float = 0.1
    articulation: float = 0.92
    loose_ms: float = 7.0
    velocity: tuple[int, int] = (46, 108)
    room: str = "room"
    swells_db: float = 4.0
    pumps_db: float = 0.0
    slows: float = 0.0
    cadence: str = "functional"
    valence: float = 0.2
    arousal: float = 0.5
    tension: float = 0.2
    modes: tuple[str, str] = ("major", "minor")


def _l(
    role: str,
    pattern: str,
    instruments: str,
    enters: float = 0.0,
    pan: float = 0.0,
    gain: float = 0.0,
    reverb: float = 0.25,
    register: int = 60,
    leaves: float = 1.01,
) -> Layer:
    return Layer(role, pattern, tuple(instruments.split("|")), enters, pan, gain, reverb, register, leaves)


_ALL = (
    Style(
        "orchestral",
        "orchestral score",
        (72, 126),
        "cinematic",
        (
            _l("melody", "", "violin|flute|oboe|clarinet|french horn", 0.15, 0.12, 2.0, 0.35, 74),
            _l("double", "", "flute|strings|piccolo", 0.68, -0.25, -4.0, 0.35, 79),
            _l("pad", "hold", "strings|slow strings", 0.0, -0.1, -4.0, 0.4, 60),
            _l("comp", "ostinato", "pizzicato strings|strings|harp", 0.38, -0.35, -4.0, 0.3, 62),
            _l("counter", "", "cello|french horn|viola|bassoon", 0.4, 0.35, -3.0, 0.35, 55),
            _l("comp", "pulse", "brass|french horn", 0.78, 0.25, -7.0, 0.35, 57),
            _l("bass", "quarters", "contrabass|cello", 0.2, 0.2, -1.0, 0.25),
            _l("hits", "", "timpani", 0.62, 0.15, -3.0, 0.35),
        ),
        groove="orchestral",
        drums_enter=0.6,
        drums_gain_db=-4.0,
        density=0.8,
        room="hall",
        slows=0.24,
        swells_db=5.0,
        valence=0.35,
        arousal=0.55,
        tension=0.35,
        velocity=(40, 112),
        loose_ms=9.0,
    ),
    Style(
        "piano_ballad",
        "piano ballad",
        (58, 88),
        "pop",
        (
            _l("melody", "", "piano", 0.0, 0.0, 1.5, 0.3, 74),
            _l("comp", "ballad", "piano", 0.0, 0.0, -3.0, 0.3, 57),
            _l("pad", "hold", "slow strings|strings|warm pad", 0.3, -0.2, -8.0, 0.45, 62),
            _l("counter", "", "cello|viola|french horn", 0.42, 0.3, -4.0, 0.4, 55),
            _l("bass", "halves", "double bass|fretless bass", 0.34, 0.05, -3.0, 0.15),
        ),
        groove="ballad",
        drums_enter=0.6,
        drums_gain_db=-6.0,
        density=0.85,
        room="hall",
        slows=0.3,
        valence=0.0,
        arousal=0.2,
        tension=0.15,
        velocity=(38, 100),
        loose_ms=14.0,
    ),
    Style(
        "electronic_dance",
        "electronic dance",
        (120, 132),
        "loop",
        (
            _l("melody", "", "synth lead|square lead|synth", 0.45, 0.0, 0.0, 0.3, 76),
            _l("arp", "sequence", "synth lead|crystal bells|synth", 0.3, 0.3, -7.0, 0.35, 72),
            _l("comp", "stabs", "synth|synth brass|synth strings", 0.4, -0.2, -4.0, 0.25, 62),
            _l("pad", "hold", "sweep pad|warm pad|halo pad", 0.0, 0.0, -7.0, 0.4, 60),
            _l("bass", "offbeat", "synth bass|analog bass", 0.3, 0.0, 1.5, 0.05),
        ),
        groove="house",
        drums_enter=0.25,
        drums_gain_db=1.5,
        density=1.3,
        syncopation=0.3,
        articulation=0.75,
        loose_ms=0.8,
        velocity=(70, 112),
        room="plate",
        cadence="loop",
        pumps_db=7.0,
        valence=0.5,
        arousal=0.9,
        tension=0.25,
        modes=("major", "minor"),
    ),
    Style(
        "synthwave",
        "synthwave",
        (84, 116),
        "loop",
        (
            _l("melody", "", "square lead|synth lead|synth brass", 0.35, 0.05, 0.5, 0.4, 74),
            _l("arp", "sequence", "synth|synth lead", 0.2, 0.35, -7.0, 0.4, 69),
            _l("pad", "hold", "synth strings|warm pad|sweep pad", 0.0, -0.15, -5.0, 0.45, 60),
            _l("comp", "stabs", "synth brass|fm piano", 0.6, -0.3, -8.0, 0.3, 60),
            _l("bass", "sixteenths", "analog bass|synth bass", 0.15, 0.0, 0.5, 0.05),
        ),
        groove="synthwave",
        drums_enter=0.3,
        drums_gain_db=0.5,
        density=0.8,
        syncopation=0.15,
        loose_ms=0.8,
        velocity=(68, 110),
        room="hall",
        cadence="loop",
        pumps_db=4.0,
        valence=0.05,
        arousal=0.6,
        tension=0.35,
        modes=("major", "minor"),
    ),
    Style(
        "lofi",
        "lo-fi hip hop",
        (70, 88),
        "lofi",
        (
            _l("melody", "", "vibraphone|jazz guitar|electric piano|flute", 0.2, 0.2, -1.0, 0.3, 72),
            _l("comp", "lofi chords", "electric piano|jazz guitar|piano", 0.0, -0.15, -2.0, 0.2, 60),
            _l("pad", "hold", "warm pad|glass pad", 0.25, 0.1, -9.0, 0.4, 62),
            _l("bass", "hip-hop", "bass guitar|fretless bass|double bass", 0.15, 0.0, 1.0, 0.05),
        ),
        groove="lofi",
        drums_enter=0.15,
        drums_gain_db=-1.0,
        swing=0.58,
        swing_sixteenths=True,
        density=0.9,
        syncopation=0.25,
        loose_ms=11.0,
        velocity=(48, 88),
        cadence="loop",
        valence=0.2,
        arousal=0.25,
        tension=0.1,
        modes=("major", "minor"),
    ),
    Style(
        "hiphop",
        "hip hop",
        (80, 98),
        "loop",
        (
            _l("melody", "", "piano|synth lead|flute|saxophone", 0.3, 0.15, -1.0, 0.25, 72),
            _l("comp", "lofi chords", "piano|electric piano|strings", 0.0, -0.2, -3.0, 0.2, 60),
            _l("pad", "hold", "strings|choir|warm pad", 0.5, 0.1, -9.0, 0.35, 62),
            _l("bass", "hip-hop", "synth bass|bass guitar", 0.15, 0.0, 2.0, 0.03),
        ),
        groove="hip-hop",
        drums_enter=0.15,
        drums_gain_db=1.5,
        swing=0.55,
        swing_sixteenths=True,
        density=0.9,
        syncopation=0.3,
        loose_ms=4.0,
        velocity=(64, 108),
        cadence="loop",
        valence=0.05,
        arousal=0.6,
        tension=0.3,
        modes=("minor", "minor"),
    ),
    Style(
        "pop",
        "pop",
        (96, 124),
        "pop",
        (
            _l("melody", "", "synth|electric guitar|piano|voice", 0.25, 0.05, 0.5, 0.25, 72),
            _l("comp", "strum", "acoustic guitar|electric guitar", 0.1, -0.35, -4.0, 0.2, 60),
            _l("comp", "pulse", "piano|electric piano", 0.45, 0.3, -6.0, 0.2, 62),
            _l("pad", "hold", "strings|warm pad", 0.6, 0.0, -9.0, 0.35, 64),
            _l("counter", "", "strings|synth voice", 0.75, 0.3, -8.0, 0.35, 67),
            _l("bass", "eighths", "bass guitar|picked bass", 0.2, 0.0, 0.5, 0.05),
        ),
        groove="pop",
        drums_enter=0.2,
        drums_gain_db=0.5,
        density=1.2,
        syncopation=0.25,
        articulation=0.85,
        loose_ms=5.0,
        velocity=(58, 110),
        room="plate",
        valence=0.75,
        arousal=0.7,
        tension=0.1,
    ),
    Style(
        "rock",
        "rock",
        (100, 152),
        "rock",
        (
            _l("melody", "", "overdriven guitar|electric guitar|hammond organ", 0.3, 0.15, 0.0, 0.25, 71),
            _l("comp", "power", "distorted guitar|overdriven guitar", 0.35, -0.5, -3.0, 0.12, 48),
            _l("comp", "power", "overdriven guitar|distorted guitar", 0.55, 0.5, -4.0, 0.12, 48),
            _l("comp", "strum", "electric guitar|acoustic guitar", 0.0, 0.3, -5.0, 0.15, 60, 0.6),
            _l("bass", "rock", "picked bass|bass guitar", 0.15, 0.0, 1.0, 0.03),
        ),
        groove="rock",
        drums_enter=0.2,
        drums_gain_db=1.5,
        density=1.2,
        syncopation=0.25,
        articulation=0.9,
        loose_ms=5.0,
        velocity=(66, 118),
        cadence="plagal",
        valence=0.3,
        arousal=0.85,
        tension=0.35,
    ),
    Style(
        "metal",
        "metal",
        (120, 176),
        "dark",
        (
            _l("melody", "", "distorted guitar|overdriven guitar", 0.4, 0.1, 0.0, 0.2, 71),
            _l("comp", "power", "distorted guitar", 0.15, -0.6, -2.0, 0.08, 45),
            _l("comp", "power", "distorted guitar|overdriven guitar", 0.3, 0.6, -2.0, 0.08, 45),
            _l("pad", "hold", "choir|tremolo strings", 0.75, 0.0, -9.0, 0.3, 62),
            _l("bass", "rock", "picked bass", 0.1, 0.0, 1.0, 0.02),
        ),
        groove="metal",
        drums_enter=0.15,
        drums_gain_db=2.0,
        density=1.5,
        articulation=0.9,
        loose_ms=3.0,
        velocity=(84, 122),
        cadence="plagal",
        valence=-0.4,
        arousal=0.98,
        tension=0.7,
        modes=("minor", "phrygian"),
    ),
    Style(
        "folk",
        "folk",
        (84, 126),
        "folk",
        (
            _l("melody", "", "fiddle|flute|tin whistle|harmonica|mandolin", 0.2, 0.15, 0.5, 0.25, 74),
            _l("comp", "strum", "acoustic guitar", 0.25, -0.3, -3.0, 0.15, 59),
            _l("comp", "fingerpick", "nylon guitar|acoustic guitar", 0.0, 0.3, -3.0, 0.2, 59, 0.7),
            _l("counter", "", "cello|viola|accordion", 0.5, 0.35, -5.0, 0.25, 57),
            _l("bass", "two-beat", "double bass", 0.3, 0.0, 0.0, 0.08),
        ),
        groove="folk",
        drums_enter=0.45,
        drums_gain_db=-4.0,
        density=1.1,
        articulation=0.9,
        loose_ms=10.0,
        velocity=(50, 104),
        cadence="functional",
        slows=0.16,
        valence=0.45,
        arousal=0.45,
        tension=0.05,
    ),
    Style(
        "bluegrass",
        "bluegrass",
        (108, 150),
        "folk",
        (
            _l("melody", "", "fiddle|banjo|mandolin|harmonica", 0.2, 0.2, 1.0, 0.15, 74),
            _l("arp", "roll", "banjo", 0.1, -0.35, -3.0, 0.12, 64),
            _l("comp", "boomchick", "acoustic guitar|mandolin", 0.0, 0.35, -4.0, 0.12, 60),
            _l("bass", "two-beat", "double bass", 0.15, 0.0, 1.0, 0.06),
        ),
        groove="train",
        drums_enter=0.5,
        drums_gain_db=-5.0,
        density=1.8,
        articulation=0.85,
        loose_ms=6.0,
        velocity=(64, 110),
        valence=0.8,
        arousal=0.8,
        tension=0.05,
    ),
    Style(
        "jazz",
        "jazz",
        (88, 160),
        "jazz",
        (
            _l(
                "melody",
                "",
                "saxophone|trumpet|muted trumpet|vibraphone|jazz guitar|clarinet",
                0.15,
                0.15,
                1.5,
                0.25,
                68,
            ),
            _l("comp", "jazz comp", "piano|jazz guitar", 0.0, -0.3, -3.0, 0.2, 60),
            _l("counter", "", "trombone|alto sax", 0.8, 0.35, -6.0, 0.25, 60),
            _l("bass", "walking", "double bass", 0.1, 0.0, 1.0, 0.08),
        ),
        groove="swing",
        drums_enter=0.2,
        drums_gain_db=-3.0,
        swing=0.64,
        density=1.3,
        syncopation=0.35,
        articulation=0.85,
        loose_ms=10.0,
        velocity=(54, 104),
        slows=0.14,
        valence=0.35,
        arousal=0.5,
        tension=0.15,
    ),
    Style(
        "bossa_nova",
        "bossa nova",
        (112, 144),
        "bossa",
        (
            _l("melody", "", "flute|saxophone|nylon guitar|vibraphone", 0.15, 0.15, 0.5, 0.3, 70),
            _l("comp", "bossa comp", "nylon guitar", 0.0, -0.25, -1.0, 0.2, 58),
            _l("pad", "hold", "slow strings|warm pad", 0.55, 0.1, -10.0, 0.4, 64),
            _l("bass", "bossa", "double bass|fretless bass", 0.1, 0.0, 0.5, 0.06),
        ),
        groove="bossa",
        drums_enter=0.2,
        drums_gain_db=-4.0,
        density=0.9,
        syncopation=0.45,
        loose_ms=8.0,
        velocity=(48, 92),
        slows=0.1,
        valence=0.45,
        arousal=0.35,
        tension=0.05,
    ),
    Style(
        "latin",
        "Latin",
        (92, 124),
        "latin",
        (
            _l("melody", "", "trumpet|flute|piano|saxophone", 0.2, 0.1, 0.5, 0.2, 72),
            _l("comp", "montuno", "piano", 0.1, -0.25, -3.0, 0.15, 64),
            _l("comp", "hits", "brass", 0.65, 0.3, -6.0, 0.2, 66),
            _l("comp", "bossa comp", "nylon guitar", 0.0, 0.3, -6.0, 0.15, 58, 0.6),
            _l("bass", "tumbao", "double bass|bass guitar", 0.1, 0.0, 1.5, 0.05),
        ),
        groove="latin",
        drums_enter=0.15,
        drums_gain_db=-1.0,
        density=1.3,
        syncopation=0.4,
        articulation=0.75,
        loose_ms=6.0,
        velocity=(60, 112),
        valence=0.7,
        arousal=0.8,
        tension=0.1,
    ),
    Style(
        "reggae",
        "reggae",
        (68, 92),
        "reggae",
        (
            _l("melody", "", "saxophone|trombone|harmonica|hammond organ", 0.25, 0.15, 0.0, 0.25, 67),
            _l("comp", "skank", "muted guitar|electric guitar", 0.0, -0.35, -2.0, 0.15, 64),
            _l("comp", "skank", "hammond organ|piano", 0.35, 0.35, -7.0, 0.15, 60),
            _l("bass", "reggae", "bass guitar", 0.1, 0.0, 3.0, 0.03),
        ),
        groove="reggae",
        drums_enter=0.15,
        drums_gain_db=0.5,
        swing=0.56,
        swing_sixteenths=True,
        density=0.9,
        syncopation=0.3,
        articulation=0.8,
        loose_ms=8.0,
        velocity=(58, 102),
        valence=0.6,
        arousal=0.5,
        tension=0.05,
    ),
    Style(
        "funk",
        "funk",
        (94, 118),
        "funk",
        (
            _l("melody", "", "alto sax|trumpet|synth lead|clavinet", 0.3, 0.15, 0.0, 0.2, 70),
            _l("comp", "scratch", "muted guitar|electric guitar", 0.1, -0.4, -4.0, 0.1, 64),
            _l("comp", "scratch", "clavinet|electric piano", 0.35, 0.35, -5.0, 0.1, 58),
            _l("comp", "hits", "brass", 0.6, 0.2, -5.0, 0.2, 66),
            _l("bass", "funk", "slap bass|bass guitar", 0.05, 0.0, 2.0, 0.03),
        ),
        groove="funk",
        drums_enter=0.15,
        drums_gain_db=1.0,
        swing=0.53,
        swing_sixteenths=True,
        density=1.4,
        syncopation=0.5,
        articulation=0.65,
        loose_ms=4.0,
        velocity=(66, 114),
        valence=0.65,
        arousal=0.8,
        tension=0.15,
        modes=("major", "minor"),
    ),
    Style(
        "soul",
        "soul",
        (66, 100),
        "soul",
        (
            _l("melody", "", "saxophone|trumpet|electric guitar|voice", 0.2, 0.15, 0.5, 0.3, 70),
            _l("comp", "lofi chords", "electric piano|hammond organ", 0.0, -0.25, -2.0, 0.2, 60),
            _l("comp", "scratch", "electric guitar|muted guitar", 0.5, 0.4, -8.0, 0.15, 64),
            _l("pad", "hold", "strings|hammond organ", 0.55, 0.1, -9.0, 0.35, 64),
            _l("bass", "hip-hop", "bass guitar|fretless bass", 0.15, 0.0, 1.5, 0.04),
        ),
        groove="pop",
        drums_enter=0.25,
        drums_gain_db=-1.0,
        swing=0.56,
        swing_sixteenths=True,
        density=1.0,
        syncopation=0.3,
        loose_ms=9.0,
        velocity=(52, 100),
        slows=0.1,
        valence=0.4,
        arousal=0.4,
        tension=0.1,
    ),
    Style(
        "blues",
        "blues",
        (70, 118),
        "blues",
        (
            _l("melody", "", "overdriven guitar|harmonica|electric guitar|saxophone", 0.15, 0.15, 0.5, 0.2, 69),
            _l("comp", "pulse", "piano|hammond organ", 0.2, -0.3, -5.0, 0.15, 60),
            _l("comp", "boomchick", "electric guitar|acoustic guitar", 0.0, 0.35, -4.0, 0.12, 57),
            _l("bass", "walking", "bass guitar|double bass", 0.1, 0.0, 1.0, 0.04),
        ),
        groove="blues",
        drums_enter=0.2,
        drums_gain_db=-1.0,
        swing=0.64,
        density=1.1,
        syncopation=0.3,
        loose_ms=9.0,
        velocity=(58, 108),
        cadence="plagal",
        slows=0.14,
        valence=0.05,
        arousal=0.5,
        tension=0.2,
    ),
    Style(
        "ambient",
        "ambient",
        (60, 84),
        "ambient",
        (
            _l("pad", "hold", "warm pad|halo pad|glass pad|sweep pad", 0.0, -0.2, 0.0, 0.6, 58),
            _l("pad", "hold", "slow strings|choir pad|synth strings", 0.4, 0.25, -5.0, 0.6, 65),
            _l(
                "arp",
                "arpeggio",
                "crystal bells|atmospheric guitar|electric piano|celesta|harp",
                0.1,
                0.3,
                -4.0,
                0.6,
                72,
            ),
            _l("melody", "", "electric piano|piano|vibraphone|flute", 0.25, 0.05, -1.0, 0.6, 74),
            _l("bass", "hold", "warm pad|fretless bass", 0.1, 0.0, -2.0, 0.3),
        ),
        groove="",
        density=0.4,
        room="cathedral",
        cadence="plagal",
        slows=0.2,
        swells_db=6.0,
        valence=0.2,
        arousal=0.08,
        tension=0.1,
        velocity=(44, 88),
        loose_ms=18.0,
    ),
    Style(
        "horror",
        "horror",
        (54, 92),
        "horror",
        (
            _l("pad", "hold", "tremolo strings|metal pad|choir pad", 0.0, -0.25, -2.0, 0.5, 58),
            _l("pad", "hold", "choir|slow strings|halo pad", 0.45, 0.25, -5.0, 0.5, 66),
            _l("melody", "", "music box|celesta|piano|violin", 0.15, 0.2, -1.0, 0.5, 78),
            _l("comp", "shiver", "tremolo strings|strings", 0.3, 0.35, -6.0, 0.45, 67),
            _l("comp", "ostinato", "pizzicato strings|piano", 0.42, 0.3, -5.0, 0.4, 52),
            _l("bass", "pedal", "contrabass|cello", 0.0, 0.0, 1.0, 0.35),
            _l("hits", "", "timpani", 0.55, 0.0, -2.0, 0.5),
        ),
        groove="horror",
        drums_enter=0.4,
        drums_gain_db=-1.0,
        density=0.5,
        room="cathedral",
        slows=0.18,
        swells_db=9.0,
        valence=-0.8,
        arousal=0.4,
        tension=0.95,
        velocity=(40, 112),
        loose_ms=15.0,
        modes=("minor", "minor"),
    ),
    Style(
        "march",
        "march",
        (108, 124),
        "march",
        (
            _l("melody", "", "trumpet|piccolo|clarinet|brass", 0.15, 0.15, 1.0, 0.25, 74),
            _l("double", "", "flute|piccolo|clarinet", 0.6, -0.3, -4.0, 0.25, 84),
            _l("comp", "oompah", "french horn|brass", 0.1, -0.2, -4.0, 0.25, 58),
            _l("counter", "", "trombone|french horn", 0.45, 0.3, -3.0, 0.25, 55),
            _l("bass", "march", "tuba|bassoon", 0.1, 0.1, 1.0, 0.2),
        ),
        groove="march",
        drums_enter=0.1,
        drums_gain_db=-1.0,
        density=1.4,
        articulation=0.7,
        loose_ms=5.0,
        velocity=(60, 114),
        room="hall",
        slows=0.12,
        valence=0.55,
        arousal=0.75,
        tension=0.2,
    ),
    Style(
        "baroque",
        "baroque",
        (76, 116),
        "baroque",
        (
            _l("melody", "", "violin|recorder|oboe|harpsichord|flute", 0.1, 0.15, 0.5, 0.3, 76),
            _l("comp", "alberti", "harpsichord", 0.0, -0.25, -3.0, 0.25, 60),
            _l("counter", "", "viola|violin|oboe", 0.3, -0.35, -3.0, 0.3, 67),
            _l("pad", "hold", "strings", 0.6, 0.0, -8.0, 0.35, 62),
            _l("bass", "running", "cello|bassoon", 0.1, 0.25, 0.0, 0.25),
        ),
        groove="",
        density=1.8,
        articulation=0.8,
        loose_ms=6.0,
        velocity=(56, 102),
        room="hall",
        slows=0.24,
        valence=0.4,
        arousal=0.5,
        tension=0.1,
        modes=("major", "harmonic minor"),
    ),
    Style(
        "trailer",
        "epic trailer",
        (84, 130),
        "dark",
        (
            _l("comp", "ostinato", "strings|tremolo strings|cello", 0.0, -0.2, -3.0, 0.3, 55),
            _l("melody", "", "french horn|brass|strings|choir", 0.35, 0.1, 1.0, 0.35, 64),
            _l("pad", "hold", "choir|slow strings", 0.5, 0.2, -5.0, 0.45, 62),
            _l("comp", "hits", "brass|trombone", 0.55, 0.25, -2.0, 0.3, 50),
            _l("double", "", "strings|choir", 0.75, -0.25, -4.0, 0.4, 76),
            _l("bass", "pulse", "contrabass|synth bass|cello", 0.1, 0.0, 0.0, 0.2),
            _l("hits", "", "timpani|taiko", 0.3, 0.0, 0.0, 0.35),
        ),
        groove="trailer",
        drums_enter=0.2,
        drums_gain_db=0.5,
        density=0.55,
        articulation=0.95,
        room="hall",
        slows=0.12,
        swells_db=5.0,
        valence=-0.25,
        arousal=0.9,
        tension=0.8,
        velocity=(52, 122),
        loose_ms=6.0,
        modes=("minor", "minor"),
    ),
    Style(
        "waltz",
        "waltz",
        (96, 150),
        "classical",
        (
            _l("melody", "", "violin|accordion|clarinet|flute|piano", 0.1, 0.15, 1.0, 0.3, 74),
            _l("comp", "oompah", "piano|accordion|strings", 0.0, -0.2, -3.0, 0.25, 60),
            _l("counter", "", "cello|viola|bassoon", 0.4, 0.3, -4.0, 0.3, 57),
            _l("double", "", "flute|violin", 0.65, -0.3, -5.0, 0.3, 84),
            _l("bass", "halves", "double bass|contrabass", 0.2, 0.05, 0.0, 0.2),
        ),
        groove="waltz",
        meter="3/4",
        drums_enter=0.5,
        drums_gain_db=-8.0,
        density=0.9,
        room="hall",
        slows=0.28,
        valence=0.5,
        arousal=0.45,
        tension=0.05,
        velocity=(48, 104),
        loose_ms=10.0,
    ),
    Style(
        "world",
        "world",
        (80, 112),
        "world",
        (
            _l("melody", "", "sitar|pan flute|kalimba|koto|shakuhachi", 0.1, 0.15, 1.0, 0.35, 71),
            _l("arp", "arpeggio", "kalimba|marimba|nylon guitar|koto", 0.1, -0.3, -3.0, 0.3, 64),
            _l("pad", "hold", "warm pad|slow strings", 0.3, 0.0, -9.0, 0.45, 57),
            _l("counter", "", "flute|nylon guitar|cello", 0.5, 0.35, -4.0, 0.35, 64),
            _l("bass", "drone", "double bass|fretless bass", 0.2, 0.0, 0.0, 0.15),
        ),
        groove="world",
        drums_enter=0.25,
        drums_gain_db=-2.0,
        density=1.0,
        syncopation=0.2,
        loose_ms=10.0,
        velocity=(50, 104),
        room="hall",
        cadence="plagal",
        slows=0.12,
        valence=0.3,
        arousal=0.45,
        tension=0.15,
        modes=("mixolydian", "dorian"),
    ),
)

STYLES: dict[str, Style] = {style.name: style for style in _ALL}
"""By name."""
