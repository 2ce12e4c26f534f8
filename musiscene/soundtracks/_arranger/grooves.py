"""Drum grooves as data: General MIDI drum keys, a bar of sixteenths each, and the energy at which a line plays."""

from __future__ import annotations

from dataclasses import dataclass

KICK, STICK, SNARE, CLAP, SNARE_2 = 36, 37, 38, 39, 40
HAT, PEDAL_HAT, OPEN_HAT, RIDE, RIDE_BELL, CRASH, CHINA = 42, 44, 46, 51, 53, 49, 52
TOM_LOW, TOM_FLOOR, TOM_MID, TOM_HIGH = 45, 41, 47, 50
TAMBOURINE, COWBELL, SHAKER, CABASA, MARACAS, CLAVES, TRIANGLE = 54, 56, 82, 69, 70, 75, 81
BONGO_HIGH, BONGO_LOW, CONGA_MUTE, CONGA_OPEN, CONGA_LOW, TIMBALE, AGOGO = 60, 61, 62, 63, 64, 65, 67
WOOD_HIGH, WOOD_LOW = 76, 77
ELECTRONIC = 24
"""The kit of drum machines."""


@dataclass(frozen=True, slots=True)
class Line:
    """One drum of a groove.

    Attributes:
        key: General MIDI drum key.
        steps: The bar in 4/4; `X` accent, `x` normal, `g` ghost.
        compound: The same for two beats of six sixteenths; empty when the drum is silent there.
        low, high: It plays while the energy is within.
        loudness: 0 to 1.
    """

    key: int
    steps: str
    compound: str = ""
    low: float = 0.0
    high: float = 1.01
    loudness: float = 0.8


@dataclass(frozen=True, slots=True)
class Groove:
    """How a style drums: its lines, its kit, and how it fills."""

    lines: tuple[Line, ...]
    kit: int = 0
    fill: str = "toms"
    crash: bool = True


def _g(*lines: Line, kit: int = 0, fill: str = "toms", crash: bool = True) -> Groove:
    return Groove(lines, kit, fill, crash)


L = Line
GROOVES: dict[str, Groove] = {
    "rock": _g(
        L(KICK, "X.......X.......", "X..........."[:12], 0.25, 0.6, 0.85),
        L(KICK, "X.......X.x.....", "X....x......", 0.6, 1.01, 0.95),
        L(SNARE, "....X.......X...", "......X.....", 0.3, 1.01, 0.9),
        L(HAT, "x.x.x.x.x.x.x.x.", "x.x.x.x.x.x.", 0.1, 0.75, 0.5),
        L(RIDE, "x.x.x.x.x.x.x.x.", "x.x.x.x.x.x.", 0.75, 1.01, 0.6),
        L(OPEN_HAT, "..............x.", "", 0.6, 0.75, 0.5),
    ),
    "pop": _g(
        L(KICK, "X.......X.......", "X.....x.....", 0.25, 0.6, 0.8),
        L(KICK, "X..x....X.x.....", "X....x......", 0.6, 1.01, 0.9),
        L(SNARE, "....X.......X...", "......X.....", 0.4, 1.01, 0.8),
        L(STICK, "....x.......x...", "......x.....", 0.2, 0.4, 0.55),
        L(CLAP, "....x.......x...", "......x.....", 0.75, 1.01, 0.5),
        L(HAT, "x.x.x.x.x.x.x.x.", "x.x.x.x.x.x.", 0.3, 1.01, 0.45),
        L(SHAKER, "xgxgxgxgxgxgxgxg", "xgxgxgxgxgxg", 0.15, 1.01, 0.3),
        L(TAMBOURINE, "....x.......x...", "", 0.7, 1.01, 0.4),
    ),
    "ballad": _g(
        L(KICK, "X.........x.....", "X...........", 0.4, 1.01, 0.7),
        L(STICK, "....x.......x...", "......x.....", 0.4, 0.65, 0.5),
        L(SNARE, "....X.......X...", "......X.....", 0.65, 1.01, 0.65),
        L(HAT, "x...x...x...x...", "x...x.x...x.", 0.4, 0.6, 0.35),
        L(RIDE, "x.x.x.x.x.x.x.x.", "x.x.x.x.x.x.", 0.6, 1.01, 0.4),
        kit=8,
        crash=False,
    ),
    "house": _g(
        L(KICK, "X...X...X...X...", "X.....X.....", 0.25, 1.01, 1.0),
        L(CLAP, "....X.......X...", "......X.....", 0.35, 1.01, 0.75),
        L(OPEN_HAT, "..x...x...x...x.", "..x.....x...", 0.5, 1.01, 0.55),
        L(HAT, "x.xgx.xgx.xgx.xg", "x.x.x.x.x.x.", 0.3, 1.01, 0.42),
        L(TAMBOURINE, "..x...x...x...x.", "", 0.75, 1.01, 0.35),
        L(KICK, "X.......X.......", "X...........", 0.1, 0.25, 0.6),
        kit=24,
        fill="roll",
    ),
    "synthwave": _g(
        L(KICK, "X.......X.......", "X...........", 0.2, 0.5, 0.85),
        L(KICK, "X...X...X...X...", "X.....X.....", 0.5, 1.01, 0.95),
        L(SNARE_2, "....X.......X...", "......X.....", 0.3, 1.01, 0.95),
        L(HAT, "x.x.x.x.x.x.x.x.", "x.x.x.x.x.x.", 0.25, 0.7, 0.42),
        L(HAT, "xgxgxgxgxgxgxgxg", "xgxgxgxgxgxg", 0.7, 1.01, 0.45),
        L(OPEN_HAT, "..............x.", "", 0.5, 1.01, 0.4),
        kit=24,
        fill="toms",
    ),
    "lofi": _g(
        L(KICK, "X.........X.....", "X....x......", 0.15, 0.5, 0.8),
        L(KICK, "X......x..X.....", "X....x......", 0.5, 1.01, 0.85),
        L(SNARE, "....X.......X...", "......X.....", 0.2, 1.01, 0.6),
        L(HAT, "x.x.x.xgx.x.xgx.", "x.x.x.x.x.x.", 0.1, 1.01, 0.36),
        L(OPEN_HAT, "..........x.....", "", 0.6, 1.01, 0.25),
        kit=8,
        fill="small",
        crash=False,
    ),
    "hip-hop": _g(
        L(KICK, "X......x..X.....", "X....x......", 0.15, 0.6, 0.95),
        L(KICK, "X..x...x..X..x..", "X....x..x...", 0.6, 1.01, 1.0),
        L(CLAP, "....X.......X...", "......X.....", 0.2, 1.01, 0.8),
        L(HAT, "x.x.x.x.x.x.x.x.", "x.x.x.x.x.x.", 0.1, 0.6, 0.45),
        L(HAT, "x.xxx.x.x.xxxgxx", "xgxgxgxgxgxg", 0.6, 1.01, 0.45),
        kit=25,
        fill="roll",
        crash=False,
    ),
    "train": _g(
        L(SNARE, "xgXgxgXgxgXgxgXg", "xgXgxgXgxgXg", 0.5, 1.01, 0.42),
        L(STICK, "....x.......x...", "......x.....", 0.2, 0.5, 0.5),
        L(KICK, "X.......X.......", "X.....X.....", 0.3, 1.01, 0.65),
        L(PEDAL_HAT, "....x.......x...", "......x.....", 0.3, 1.01, 0.4),
        kit=40,
        fill="small",
        crash=False,
    ),
    "folk": _g(
        L(KICK, "X.......X.......", "X.....x.....", 0.35, 1.01, 0.65),
        L(TAMBOURINE, "....X.......X...", "......X.....", 0.4, 1.01, 0.5),
        L(SHAKER, "x.xgx.xgx.xgx.xg", "x.xgx.x.xgx.", 0.25, 1.01, 0.35),
        L(CLAP, "....x.......x...", "......x.....", 0.75, 1.01, 0.5),
        fill="small",
        crash=False,
    ),
    "swing": _g(
        L(RIDE, "X...x.x.X...x.x.", "X...x.X...x.", 0.2, 1.01, 0.55),
        L(PEDAL_HAT, "....X.......X...", "......X.....", 0.15, 1.01, 0.5),
        L(KICK, "g...g...g...g...", "g.....g.....", 0.35, 1.01, 0.5),
        L(SNARE, "......g........g", "....g.......", 0.45, 0.7, 0.4),
        L(SNARE, "..g...x....g..x.", "....x....g..", 0.7, 1.01, 0.5),
        kit=32,
        fill="snare",
        crash=False,
    ),
    "brushes": _g(
        L(SNARE, "x...x.x.x...x.x.", "x...x.x...x.", 0.15, 1.01, 0.42),
        L(PEDAL_HAT, "....x.......x...", "......x.....", 0.25, 1.01, 0.4),
        L(RIDE, "X...x.x.X...x.x.", "X...x.X...x.", 0.6, 1.01, 0.4),
        L(KICK, "x.......x.......", "x...........", 0.4, 1.01, 0.45),
        kit=40,
        fill="snare",
        crash=False,
    ),
    "bossa": _g(
        L(STICK, "x..x..x...x..x..", "x...x...x...", 0.15, 1.01, 0.5),
        L(KICK, "X..xX..xX..xX..x", "X...x.X...x.", 0.3, 1.01, 0.5),
        L(HAT, "xgxgxgxgxgxgxgxg", "xgxgxgxgxgxg", 0.2, 1.01, 0.34),
        L(SHAKER, "x.xgx.xgx.xgx.xg", "", 0.5, 1.01, 0.3),
        kit=8,
        fill="small",
        crash=False,
    ),
    "latin": _g(
        L(CLAVES, "x..x..x...x.x...", "x...x...x...", 0.35, 1.01, 0.5),
        L(CONGA_MUTE, "x.x...x.x.x...x.", "x.x...x.x...", 0.15, 1.01, 0.5),
        L(CONGA_OPEN, "......x.......xx", "....x.....x.", 0.15, 1.01, 0.65),
        L(CONGA_LOW, "...x.......x....", "........x...", 0.4, 1.01, 0.55),
        L(COWBELL, "x...x.x.x...x.x.", "x...x.x...x.", 0.65, 1.01, 0.45),
        L(KICK, "X.....x...x...x.", "X.....x.....", 0.35, 1.01, 0.7),
        L(TIMBALE, "....x.......x...", "......x.....", 0.55, 1.01, 0.5),
        L(MARACAS, "xgxgxgxgxgxgxgxg", "xgxgxgxgxgxg", 0.2, 1.01, 0.35),
        fill="timbale",
    ),
    "reggae": _g(
        L(KICK, "........X.......", "......X.....", 0.2, 0.75, 0.95),
        L(KICK, "X...X...X...X...", "X.....X.....", 0.75, 1.01, 0.85),
        L(STICK, "........X.......", "......x.....", 0.2, 0.5, 0.7),
        L(SNARE, "........X.......", "......X.....", 0.5, 1.01, 0.75),
        L(HAT, "x.x.x.x.x.x.x.x.", "x.x.x.x.x.x.", 0.1, 1.01, 0.5),
        L(OPEN_HAT, "..............x.", "", 0.5, 1.01, 0.4),
        fill="timbale",
    ),
    "funk": _g(
        L(KICK, "X.x.......x..x..", "X...x...x...", 0.2, 1.01, 0.95),
        L(SNARE, "....X..g.g..X..g", "......X..g..", 0.25, 1.01, 0.85),
        L(HAT, "x.xxx.xxx.xxx.xx", "x.x.x.x.x.x.", 0.1, 1.01, 0.45),
        L(OPEN_HAT, ".....x..........", "", 0.55, 1.01, 0.45),
        L(TAMBOURINE, "....x.......x...", "", 0.7, 1.01, 0.4),
        L(CONGA_OPEN, "......x...x...x.", "", 0.6, 1.01, 0.4),
        fill="snare",
    ),
    "orchestral": _g(
        L(KICK, "X...............", "X...........", 0.6, 1.01, 0.7),
        L(SNARE, "..............gg", "..........gg", 0.7, 1.01, 0.4),
        L(SNARE, "x..gx.g.x..gx.gg", "x...x.x...x.", 0.85, 1.01, 0.45),
        L(TRIANGLE, "x...............", "", 0.45, 0.7, 0.3),
        kit=48,
        fill="roll",
    ),
    "trailer": _g(
        L(TOM_FLOOR, "X.....x.....x...", "X.....x.....", 0.2, 0.6, 0.95),
        L(TOM_FLOOR, "X..x..X..x..X.x.", "X..x..X..x..", 0.6, 1.01, 1.0),
        L(TOM_LOW, "....x..x....x..x", "...x.....x..", 0.5, 1.01, 0.8),
        L(KICK, "X.......X.......", "X.....X.....", 0.3, 1.01, 1.0),
        L(SNARE, "x.xxx.xxx.xxx.xx", "xxxxxxxxxxxx", 0.8, 1.01, 0.5),
        L(CHINA, "X...............", "", 0.9, 1.01, 0.5),
        kit=48,
        fill="toms",
    ),
    "march": _g(
        L(SNARE, "X...x.xxX...x.x.", "X..x.xX..x.x", 0.15, 0.6, 0.6),
        L(SNARE, "X.xxx.xxX.xxxxxx", "X.xxxxX.xxxx", 0.6, 1.01, 0.65),
        L(KICK, "X.......X.......", "X.....X.....", 0.2, 1.01, 0.85),
        L(CRASH, "X...............", "", 0.8, 1.01, 0.35),
        fill="snare",
    ),
    "waltz": _g(
        L(KICK, "X...............", "X...........", 0.5, 1.01, 0.5),
        L(TRIANGLE, "....x.......x...", "....x.....x.", 0.6, 1.01, 0.3),
        L(SNARE, "....g.......g...", "....g.....g.", 0.7, 1.01, 0.35),
        kit=48,
        fill="roll",
        crash=False,
    ),
    "blues": _g(
        L(RIDE, "x...x.x.x...x.x.", "x...x.x...x.", 0.5, 1.01, 0.5),
        L(HAT, "x.x.x.x.x.x.x.x.", "x.x.x.x.x.x.", 0.15, 0.5, 0.5),
        L(KICK, "X.......X.x.....", "X.....x.....", 0.25, 1.01, 0.8),
        L(SNARE, "....X.......X...", "......X.....", 0.25, 1.01, 0.75),
        fill="snare",
    ),
    "world": _g(
        L(BONGO_HIGH, "x..xx.x.x..xx.x.", "x..x.xx..x.x", 0.2, 1.01, 0.5),
        L(BONGO_LOW, "......x.......x.", "....x.....x.", 0.2, 1.01, 0.55),
        L(CONGA_LOW, "X.......X..x....", "X.....x.....", 0.3, 1.01, 0.75),
        L(SHAKER, "x.xgx.xgx.xgx.xg", "x.xgx.x.xgx.", 0.45, 1.01, 0.35),
        L(WOOD_LOW, "x.....x...x.....", "x...x...x...", 0.65, 1.01, 0.4),
        fill="timbale",
        crash=False,
    ),
    "horror": _g(
        L(TOM_FLOOR, "X...............", "X...........", 0.4, 0.75, 0.7),
        L(TOM_FLOOR, "X.x.......X.x...", "X.x...X.x...", 0.75, 1.01, 0.9),
        L(WOOD_HIGH, "............x.x.", "", 0.5, 1.01, 0.3),
        kit=48,
        fill="roll",
    ),
    "metal": _g(
        L(KICK, "X.......X.......", "X...........", 0.2, 0.5, 0.9),
        L(KICK, "X.xxX.xxX.xxX.xx", "X.xxxxX.xxxx", 0.5, 1.01, 0.9),
        L(SNARE, "....X.......X...", "......X.....", 0.3, 1.01, 1.0),
        L(CHINA, "x...x...x...x...", "x.....x.....", 0.7, 1.01, 0.5),
        L(HAT, "x.x.x.x.x.x.x.x.", "x.x.x.x.x.x.", 0.1, 0.7, 0.5),
        kit=16,
    ),
}
