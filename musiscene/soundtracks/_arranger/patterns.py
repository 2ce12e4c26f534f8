"""Accompaniment, bass and drum patterns as data: one character for each sixteenth of a bar.

Accompaniment: `x` the chord, `X` the chord accented, `b` low root, `f` low fifth, a digit that voice of the chord
counted from below, `-` held on, `.` silence.
Bass: `r` root, `f` fifth, `t` third, `o` octave, `w` a walking note, `a` approach to the next root, `n` the next
chord's root, `p` the tonic.
Drums: `X` accent, `x` normal, `g` ghost.
Entries are written for 4/4 from sparse to dense; "3" is for 3/4 and "c" for six sixteenths a beat, two beats long.
Other meters are cut from these.
"""

from __future__ import annotations

from collections.abc import Iterator

from musiscene.soundtracks._arranger.piece import Meter

Pattern = dict[str, tuple[str, ...]]

COMPING: dict[str, Pattern] = {
    "hold": {"4": ("x---------------",), "3": ("x-----------",), "c": ("x-----------",)},
    "halves": {"4": ("x---------------", "x-------x-------"), "3": ("x-----------",), "c": ("x-----x-----",)},
    "pulse": {
        "4": ("x-------x-------", "x---x---x---x---", "X-x-x-x-X-x-x-x-"),
        "3": ("x-----------", "x---x---x---", "X-x-x-x-x-x-"),
        "c": ("x-----x-----", "x---x-x---x-", "X-x-x-X-x-x-"),
    },
    "ostinato": {
        "4": ("0---1---2---1---", "0-2-1-2-0-2-1-2-", "0-0-2-0-1-0-2-0-", "0020102000201020"),
        "3": ("0---1---2---", "0-2-1-2-1-2-", "0-0-2-0-1-0-"),
        "c": ("0-----2-----", "0-1-2-1-2-1-", "0-1-2-0-1-2-"),
    },
    "arpeggio": {
        "4": ("0-------2---1---", "0---1---2---3---", "0-1-2-3-4-3-2-1-", "0-2-1-3-2-4-3-1-"),
        "3": ("0---1---2---", "0-1-2-3-2-1-", "0-2-1-3-2-1-"),
        "c": ("0---1-2---1-", "0-1-2-3-2-1-", "0-2-3-4-3-2-"),
    },
    "alberti": {"4": ("0---2---1---2---", "0-2-1-2-0-2-1-2-"), "3": ("0-2-1-2-1-2-",), "c": ("0-1-2-0-1-2-",)},
    "ballad": {
        "4": ("b---2---3---2---", "b-1-2---3---2-1-", "b-1-2-3-4-3-2-1-", "b-1-x-3-f-2-x-1-"),
        "3": ("b---2---1---", "b---x---x---", "b-1-2-1-2-1-"),
        "c": ("b---1-2---1-", "b-1-2-3-2-1-", "b-1-2-x-1-2-"),
    },
    "strum": {
        "4": ("X-------x---x---", "X---x-x---x-x---", "X---x-x---x-x-x-", "X-x-x-xxX-x-x-xx"),
        "3": ("X---x---x---", "X---x-x-x-x-", "X-x-x-xxx-xx"),
        "c": ("X-----x-----", "X---x-X---x-", "X-x-x-X-x-x-"),
    },
    "fingerpick": {
        "4": ("b---2---f---2---", "b-2-1-2-f-2-1-2-", "b-2-1-3-f-2-3-1-"),
        "3": ("b---2---1---", "b-1-2-3-2-1-"),
        "c": ("b---1-2---1-", "b-1-2-3-2-1-"),
    },
    "power": {
        "4": ("X---------------", "X-------X-------", "X-x-x-x-X-x-x-x-", "X-xxx-xxX-xxx-x-"),
        "3": ("X-----------", "X-x-x-X-x-x-"),
        "c": ("X-----------", "X-x-x-X-x-x-"),
    },
    "skank": {
        "4": ("....x.......x...", "..x...x...x...x.", "..x...xx..x...xx"),
        "3": ("....x...x...",),
        "c": ("..x.x...x.x.",),
    },
    "boomchick": {
        "4": ("b-------x-------", "b---x---f---x---", "b---x-x-f---x-x-", "b-x-x-xxf-x-x-xx"),
        "3": ("b---x---x---", "b---x-x-x-x-"),
        "c": ("b---x-f---x-",),
    },
    "roll": {
        "4": ("0-1-2-3-1-2-0-1-", "0123012301230123", "0120120102310213", "3102310231023102"),
        "3": ("0-1-2-3-2-1-", "012301231230"),
        "c": ("012301230123", "0-1-2-3-2-1-"),
    },
    "jazz comp": {
        "4": ("x-----x-........", "......x---..x-..", "x-..........x---", "..x-..x-....x-..", "x--...x-..x-...."),
        "3": ("x-----x-....", "....x---x-..", "x---....x-.."),
        "c": ("x---x-......", "....x-x---..", "x-....x---x-"),
    },
    "bossa comp": {
        "4": ("x--x--x---x--x--", "x---..x-..x--x--", "x-..x-..x-..x-x-"),
        "3": ("x--x--x---x-",),
        "c": ("x---x-..x-..",),
    },
    "montuno": {"4": ("0-2-.13..2-1.3-2", "0-2-13.2.13.2.13"), "3": ("0-2-.13.2.13",), "c": ("0-2-1-3-2-1-",)},
    "scratch": {
        "4": ("..x...x...x.....", "..x.x.x...x.x..x", "x.x.x..xx.x.x.x."),
        "3": ("..x.x..x..x.",),
        "c": ("x...x.x...x.",),
    },
    "stabs": {
        "4": ("x---------------", "..x-..x-..x-..x-", "x--x--x---x--x--", "X--x--x-..x--x--"),
        "3": ("..x-..x-..x-",),
        "c": ("x-..x-x-..x-",),
    },
    "sequence": {
        "4": ("0---2---1---2---", "0-1-2-0-1-2-0-1-", "0120120120120123", "0213021302130213", "0321032103210312"),
        "3": ("0-1-2-0-1-2-", "012012012012"),
        "c": ("0-1-2-0-1-2-", "012012012012"),
    },
    "lofi chords": {
        "4": ("x-------..x-----", "x-----x---x-----", "x--.x-----x--.x-", "x-x.x---..x--.x-"),
        "3": ("x-----x-----", "x-------x---"),
        "c": ("x-----x---x-",),
    },
    "oompah": {
        "4": ("b---x---f---x---", "b.x.x.x.f.x.x.x."),
        "3": ("b---x---x---", "b---x---x-x-"),
        "c": ("b---x-f---x-", "b-x-x-f-x-x-"),
    },
    "shiver": {
        "4": ("x---------------", "x-----------....", "xxxxxxxx........", "........xxxxxxxx", "xxxxxxxxxxxxxxxx"),
        "3": ("x-----------", "xxxxxx......", "xxxxxxxxxxxx"),
        "c": ("x-----------", "xxxxxx......", "xxxxxxxxxxxx"),
    },
    "harp": {
        "4": ("0---2---4---2---", "0-1-2-3-4-5-4-3-", "0-2-4-6-5-4-3-2-"),
        "3": ("0---2---4---", "0-1-2-3-4-3-"),
        "c": ("0-1-2-3-4-5-",),
    },
    "hits": {
        "4": ("X-..............", "X-....X-........", "X-....X-....X-..", "X-.X-.X-X-.X-.X-"),
        "3": ("X-..........",),
        "c": ("X-..........",),
    },
}

BASS: dict[str, Pattern] = {
    "hold": {"4": ("r---------------",), "3": ("r-----------",), "c": ("r-----------",)},
    "pedal": {"4": ("p---------------",), "3": ("p-----------",), "c": ("p-----------",)},
    "drone": {
        "4": ("p-------p-------", "p-----p-f-------", "p--p--p-f--p--a-"),
        "3": ("p-------f---", "p---p---f-a-"),
        "c": ("p-----f-----", "p---p-f---a-"),
    },
    "halves": {
        "4": ("r---------------", "r-------f-----a-"),
        "3": ("r-------f---", "r-------a---"),
        "c": ("r-----f---a-",),
    },
    "quarters": {"4": ("r-------r-------", "r---r---f---a---"), "3": ("r---f---a---",), "c": ("r---r-f---a-",)},
    "eighths": {"4": ("r-------r-----a-", "r-r-r-r-r-r-r-a-"), "3": ("r-r-r-r-r-a-",), "c": ("r-r-r-r-r-a-",)},
    "pulse": {"4": ("r---------------", "r-r-r-r-r-r-r-r-"), "3": ("r-r-r-r-r-r-",), "c": ("r-r-r-r-r-r-",)},
    "sixteenths": {"4": ("r-r-r-r-r-r-r-r-", "r-rrr-rrr-rrr-ro"), "3": ("r-rrr-rrr-ro",), "c": ("r-r-r-r-r-o-",)},
    "offbeat": {
        "4": ("r---------------", "..r-..r-..r-..r-", "..rr..rr..rr..ra"),
        "3": ("..r-..r-..r-",),
        "c": ("r---r-r---r-",),
    },
    "octaves": {"4": ("r---o---r---o---", "r-o-r-o-r-o-r-a-"), "3": ("r-o-r-o-r-a-",), "c": ("r-o-r-r-o-a-",)},
    "walking": {
        "4": ("r-------f-----a-", "r---w---w---a---", "r---w---w-w-a---"),
        "3": ("r---w---a---",),
        "c": ("r---w-w---a-",),
    },
    "two-beat": {
        "4": ("r-------f-------", "r---....f---..a-"),
        "3": ("r-----------", "r-------f---"),
        "c": ("r-----f---a-",),
    },
    "funk": {
        "4": ("r--r....r-..f-o-", "r.r...o.r..f.tra", "r.rr..o.r.r.tf.a"),
        "3": ("r..r..o.r.fa",),
        "c": ("r---r-o-r-a-",),
    },
    "reggae": {
        "4": ("r---..r-t-f-....", "....r-r-f---t-r-", "r-r-..f-t---r-a-"),
        "3": ("r---..r-f-..",),
        "c": ("r---f-r---t-",),
    },
    "bossa": {"4": ("r-----f-f-----r-", "r-----f-r-----f-"), "3": ("r-----f-f---",), "c": ("r---f-r---f-",)},
    "tumbao": {"4": ("r-....f-....n---", "......f-....n---"), "3": ("r-....f-n---",), "c": ("r---f-..n---",)},
    "hip-hop": {
        "4": ("r-----------....", "r-----r-..r-....", "r--r--..r-r-..a-"),
        "3": ("r-----r-....",),
        "c": ("r---r-....r-",),
    },
    "running": {
        "4": ("r---w---w---a---", "r-w-w-w-w-w-w-a-"),
        "3": ("r---w---a---", "r-w-w-w-w-a-"),
        "c": ("r-w-w-w-w-a-",),
    },
    "march": {
        "4": ("r-......f-......", "r-..f-..r-..f-.."),
        "3": ("r-..........", "r-..f-..f-.."),
        "c": ("r-....f-....",),
    },
    "rock": {
        "4": ("r-------r-------", "r-r-r-r-r-r-f-a-", "r-r-r-r-r-r-r-a-"),
        "3": ("r-r-r-r-r-a-",),
        "c": ("r-r-r-r-r-a-",),
    },
}


def bar_pattern(pattern: Pattern, meter: Meter, variant: int) -> str:
    """One bar of a pattern, one character for each step of the meter; a higher variant is denser."""
    family = "c" if meter.compound else ("3" if meter.beats == 3 else "4")
    variants = pattern[family]
    text = variants[min(max(0, variant), len(variants) - 1)]
    return fit(text, meter)


def strokes(text: str, meter: Meter) -> Iterator[tuple[str, float, float]]:
    """What sounds in one bar of a pattern: the symbol, its beat in the bar, and for how many beats it is held."""
    for step, symbol in enumerate(text):
        if symbol in ".-":
            continue
        held = 1
        while step + held < len(text) and text[step + held] == "-":
            held += 1
        yield symbol, step / meter.steps_per_beat, held / meter.steps_per_beat


def fit(text: str, meter: Meter) -> str:
    """Cut or repeat beats of a pattern so that it fills one bar."""
    if len(text) == meter.steps:
        return text
    if meter.compound:
        return (text * 4)[: meter.steps]
    if meter.steps_per_beat == 2:  # 7/8 counts eighths: a 4/4 bar less its last eighth
        cut = (text * 2)[: meter.steps]
        return cut if not cut.startswith("-") else "." + cut[1:]
    beats = [text[index : index + 4] for index in range(0, len(text), 4)]
    order = {2: (0, 1), 3: (0, 1, 3), 5: (0, 1, 2, 3, 1), 7: (0, 1, 2, 3, 0, 1, 3)}[meter.beats]
    return "".join(beats[index % len(beats)] for index in order)
