"""The instruments: their General MIDI programs, comfortable ranges, families and the words people use for them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instrument:
    """A General MIDI instrument as an arranger knows it.

    Attributes:
        name: What it is called in a brief.
        program: General MIDI program, 0-based.
        low, high: Comfortable range, MIDI keys.
        families: Groups that a leave-out may name.
        sustained: It holds a note at will (bowed, blown, sung, synthesised), so it swells and plays legato.
        words: Ways of asking for it, singular, lower case.
    """

    name: str
    program: int
    low: int
    high: int
    families: tuple[str, ...]
    sustained: bool
    words: tuple[str, ...]


def _of(name: str, program: int, low: int, high: int, families: str, sustained: int, words: str = "") -> Instrument:
    others = tuple(word.strip() for word in words.split(",") if word.strip())
    return Instrument(name, program, low, high, tuple(families.split()), bool(sustained), (name, *others))


_ALL = (
    _of("piano", 0, 28, 96, "piano keyboard", 0, "grand piano, pianoforte, upright piano, pianist"),
    _of("honky-tonk piano", 3, 36, 88, "piano keyboard", 0, "saloon piano, honky tonk, honkytonk, ragtime piano"),
    _of(
        "electric piano",
        4,
        28,
        96,
        "piano keyboard electric",
        0,
        "rhodes, e-piano, wurlitzer, e piano, epiano, fender rhodes",
    ),
    _of("fm piano", 5, 28, 96, "piano keyboard electric", 0, "dx7"),
    _of("harpsichord", 6, 36, 86, "keyboard", 0, "clavecin, cembalo"),
    _of("clavinet", 7, 36, 84, "keyboard electric", 0, "clav"),
    _of("celesta", 8, 60, 96, "bells keyboard", 0, "celeste"),
    _of("glockenspiel", 9, 67, 100, "bells", 0, "chimes, chime, glock"),
    _of("music box", 10, 60, 96, "bells", 0, "musicbox, toy box"),
    _of("vibraphone", 11, 53, 89, "mallets bells", 0, "vibes"),
    _of("marimba", 12, 48, 89, "mallets", 0, "mallet"),
    _of("xylophone", 13, 65, 96, "mallets", 0, ""),
    _of("tubular bells", 14, 60, 77, "bells", 0, "church bell, bell, bells, tubular bell"),
    _of("dulcimer", 15, 48, 84, "plucked", 0, "hammered dulcimer, zither"),
    _of("hammond organ", 16, 36, 88, "organ keyboard", 1, "electric organ, drawbar organ, b3, rock organ"),
    _of("church organ", 19, 30, 88, "organ keyboard", 1, "pipe organ, organ, cathedral organ"),
    _of("accordion", 21, 53, 88, "reed", 1, "squeezebox"),
    _of("harmonica", 22, 60, 88, "reed", 1, "mouth organ, blues harp"),
    _of("bandoneon", 23, 53, 88, "reed", 1, "concertina"),
    _of(
        "nylon guitar",
        24,
        40,
        79,
        "guitar plucked",
        0,
        "classical guitar, spanish guitar, flamenco guitar, oud, lute, guitarra",
    ),
    _of(
        "acoustic guitar",
        25,
        40,
        79,
        "guitar plucked",
        0,
        "steel guitar, guitar, folk guitar, fingerpicked guitar, strummed guitar, ukulele, guitarist",
    ),
    _of("jazz guitar", 26, 40, 84, "guitar plucked electric", 0, "archtop, hollow body guitar"),
    _of(
        "electric guitar",
        27,
        40,
        84,
        "guitar plucked electric",
        0,
        "clean guitar, telecaster, stratocaster, twangy guitar, twang guitar",
    ),
    _of("muted guitar", 28, 40, 76, "guitar plucked electric", 0, "palm mute, palm-muted guitar, palm muted guitar"),
    _of(
        "overdriven guitar",
        29,
        40,
        84,
        "guitar electric",
        1,
        "crunchy guitar, overdrive guitar, fuzz guitar, overdrive",
    ),
    _of(
        "distorted guitar",
        30,
        38,
        84,
        "guitar electric",
        1,
        "distortion guitar, heavy guitar, metal guitar, distorted electric guitar, power chord, distortion",
    ),
    _of(
        "double bass",
        32,
        28,
        55,
        "bass strings-plucked",
        0,
        "upright bass, acoustic bass, contrabass pizzicato, walking bass, stand-up bass",
    ),
    _of("bass guitar", 33, 28, 55, "bass electric", 0, "bass, electric bass, bassline, bass line, fingered bass"),
    _of("picked bass", 34, 28, 55, "bass electric", 0, ""),
    _of("fretless bass", 35, 28, 58, "bass electric", 0, ""),
    _of("slap bass", 36, 28, 55, "bass electric", 0, "slapped bass"),
    _of(
        "synth bass",
        38,
        28,
        55,
        "bass synth electronic",
        1,
        "sub bass, 808 bass, bass synth, sub-bass, wobble bass, reese bass",
    ),
    _of("analog bass", 39, 28, 55, "bass synth electronic", 1, "moog bass, acid bass"),
    _of("violin", 40, 55, 93, "strings bowed", 1, "solo violin, violinist"),
    _of("viola", 41, 48, 84, "strings bowed", 1, ""),
    _of("cello", 42, 36, 76, "strings bowed", 1, "violoncello, solo cello, cellist"),
    _of("contrabass", 43, 28, 55, "strings bowed bass", 1, "bowed bass"),
    _of("tremolo strings", 44, 40, 88, "strings bowed", 1, "string tremolo, tremolo"),
    _of("pizzicato strings", 45, 40, 84, "strings", 0, "pizzicato, plucked strings"),
    _of("harp", 46, 36, 96, "harp plucked strings-plucked", 0, "harpist"),
    _of("timpani", 47, 36, 55, "percussion drums", 0, "kettledrum, kettle drum, timpanis"),
    _of(
        "strings",
        48,
        36,
        91,
        "strings bowed",
        1,
        "string section, string ensemble, string orchestra, string quartet, orchestral strings, string",
    ),
    _of("slow strings", 49, 36, 88, "strings bowed", 1, ""),
    _of("synth strings", 50, 36, 88, "strings synth electronic", 1, "string machine"),
    _of("choir", 52, 48, 79, "voice", 1, "choral, vocal ensemble, aahs, gregorian chant, chant, chanting"),
    _of(
        "voice",
        53,
        53,
        79,
        "voice",
        1,
        "vocal, humming, oohs, female vocal, male vocal, vocalist",
    ),
    _of("synth voice", 54, 48, 79, "voice synth electronic", 1, "vocoder"),
    _of("trumpet", 56, 55, 82, "brass winds", 1, "cornet, flugelhorn, solo trumpet, trumpeter"),
    _of("trombone", 57, 40, 70, "brass winds", 1, ""),
    _of("tuba", 58, 28, 58, "brass winds bass", 1, "sousaphone"),
    _of("muted trumpet", 59, 55, 82, "brass winds", 1, "harmon mute"),
    _of("french horn", 60, 41, 74, "brass winds", 1, "horn section, french horns, horn"),
    _of("brass", 61, 40, 79, "brass winds", 1, "brass section, brass ensemble, fanfare"),
    _of("synth brass", 62, 40, 84, "synth electronic", 1, ""),
    _of("soprano sax", 64, 56, 87, "winds sax", 1, "soprano saxophone"),
    _of("alto sax", 65, 49, 80, "winds sax", 1, "alto saxophone"),
    _of("saxophone", 66, 44, 76, "winds sax", 1, "sax, tenor sax, tenor saxophone, saxophonist"),
    _of("baritone sax", 67, 36, 68, "winds sax", 1, "bari sax"),
    _of("oboe", 68, 58, 88, "woodwinds winds", 1, ""),
    _of("english horn", 69, 52, 81, "woodwinds winds", 1, "cor anglais"),
    _of("bassoon", 70, 34, 70, "woodwinds winds", 1, ""),
    _of("clarinet", 71, 50, 89, "woodwinds winds", 1, "bass clarinet"),
    _of("piccolo", 72, 74, 100, "woodwinds winds flute", 1, "fife"),
    _of("flute", 73, 60, 93, "woodwinds winds flute", 1, "flutist, flautist, bamboo flute, bansuri, dizi"),
    _of("recorder", 74, 62, 91, "woodwinds winds flute", 1, ""),
    _of("pan flute", 75, 60, 88, "woodwinds winds flute", 1, "panpipe, panpipes, pan pipe"),
    _of("shakuhachi", 77, 57, 84, "woodwinds winds flute", 1, "ney, japanese flute"),
    _of("ocarina", 79, 60, 88, "woodwinds winds flute", 1, ""),
    _of("tin whistle", 78, 69, 93, "woodwinds winds flute", 1, "whistle, penny whistle, whistling"),
    _of("square lead", 80, 48, 91, "synth electronic lead", 1, "chiptune, 8-bit, 8 bit, square wave, chip"),
    _of(
        "synth lead",
        81,
        48,
        91,
        "synth electronic lead",
        1,
        "saw lead, lead synth, sawtooth, supersaw, synthesizer lead, synth melody",
    ),
    _of(
        "warm pad",
        89,
        40,
        84,
        "synth electronic pad",
        1,
        "pad, synth pad, ambient pad, atmospheric synth, synth drone, drone sound",
    ),
    _of(
        "synth",
        90,
        40,
        88,
        "synth electronic",
        1,
        "synthesizer, synthesiser, polysynth, analog synth, analogue synth, electronic keyboard, keyboard, electronics",
    ),
    _of("choir pad", 91, 40, 84, "synth electronic pad voice", 1, ""),
    _of("glass pad", 92, 40, 88, "synth electronic pad", 1, "bowed glass"),
    _of("metal pad", 93, 40, 84, "synth electronic pad", 1, ""),
    _of("halo pad", 94, 40, 84, "synth electronic pad", 1, ""),
    _of("sweep pad", 95, 40, 84, "synth electronic pad", 1, ""),
    _of("crystal bells", 98, 55, 96, "synth electronic bells", 0, ""),
    _of("atmospheric guitar", 99, 43, 88, "synth electronic", 0, ""),
    _of("sitar", 104, 48, 79, "plucked", 0, ""),
    _of("banjo", 105, 48, 84, "plucked", 0, "banjoist"),
    _of("shamisen", 106, 50, 79, "plucked", 0, "pipa, sanxian"),
    _of("koto", 107, 50, 86, "plucked", 0, "guzheng, zheng, guqin"),
    _of("kalimba", 108, 53, 86, "mallets plucked", 0, "thumb piano, mbira"),
    _of("bagpipe", 109, 57, 81, "reed", 1, "bagpipes, uilleann pipes"),
    _of("fiddle", 110, 55, 93, "strings bowed", 1, "fiddler, erhu, fiddles"),
    _of("mandolin", 25, 55, 88, "plucked", 0, "bouzouki, balalaika, mandola"),
    _of("steel drums", 114, 55, 84, "mallets", 0, "steel drum, steelpan, steel pan"),
    _of("taiko", 116, 36, 60, "percussion drums", 0, "taikos, taiko drum"),
)

INSTRUMENTS: dict[str, Instrument] = {instrument.name: instrument for instrument in _ALL}
"""By name."""

DRUMS = "drums"
FAMILY_WORDS: dict[str, tuple[str, ...]] = {
    "drums": (
        "drums",
        "drum",
        "percussion",
        "drum kit",
        "drumkit",
        "drum machine",
        "drum set",
        "drummer",
        "drumming",
        "percussive",
        "cymbal",
        "cymbals",
        "snare",
        "snares",
        "kick drum",
        "hi-hat",
        "hi-hats",
        "hihat",
        "bongos",
        "congas",
        "conga",
        "tambourine",
        "shaker",
        "shakers",
        "maracas",
        "claps",
        "handclaps",
        "hand claps",
        "tabla",
        "djembe",
        "darbuka",
        "cajon",
        "bodhran",
        "beatbox",
        "bass drum",
        "tom",
        "toms",
        "percussions",
    ),
    "strings": ("strings", "string section", "string instruments", "bowed strings", "string", "orchestral strings"),
    "brass": ("brass", "horns", "brass section", "brass instruments"),
    "woodwinds": ("woodwinds", "woodwind", "wind instruments", "winds", "reeds"),
    "guitar": ("guitar", "guitars", "electric guitars", "acoustic guitars"),
    "piano": ("piano", "pianos", "keys", "keyboards", "keyboard"),
    "synth": (
        "synth",
        "synths",
        "synthesizer",
        "synthesizers",
        "synthesisers",
        "electronics",
        "electronic sounds",
        "electronic instruments",
        "pads",
        "pad",
        "electronic",
    ),
    "bass": ("bass", "bassline", "bass line", "basslines", "low end"),
    "voice": ("vocals", "vocal", "voices", "voice", "singing", "singer", "choir", "lyrics", "words sung", "choirs"),
    "bells": ("bells", "bell", "chimes"),
    "organ": ("organ", "organs"),
    "sax": ("sax", "saxophone", "saxophones"),
    "flute": ("flutes",),
    "mallets": ("mallets",),
    "melody": ("melody", "lead", "lead melody", "solo", "solos", "tune"),
}
"""Groups that can be left out (or asked for) as a whole."""

_PERCUSSIVE_PROGRAMS = frozenset({47, 112, 113, 115, 116, 117, 118, 119})


def is_excluded(name: str, exclude: tuple[str, ...]) -> bool:
    """Whether an instrument, or one of its families, is among the leave-outs."""
    if name in exclude:
        return True
    instrument = INSTRUMENTS.get(name)
    if instrument is None:
        return False
    if DRUMS in exclude and instrument.program in _PERCUSSIVE_PROGRAMS:
        return True
    twins = any(INSTRUMENTS[other].program == instrument.program for other in exclude if other in INSTRUMENTS)
    return twins or any(family in exclude for family in instrument.families)
