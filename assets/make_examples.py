"""Draw and score the example clips of the page. Everything in them is ours: pictures by formula, music by our arranger.

    python assets/make_examples.py [NAME ...]

Writes `assets/examples/*.mp4`, one track alone, and `examples.json`. The same call gives the same pictures.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

import musiscene
from musiscene import media, mux

OUT = Path(__file__).parent / "examples"
WIDTH, HEIGHT, FPS = 640, 360, 24
SCALE = 2
"""Pictures are drawn this much larger and shrunk, which smooths their edges."""

Color = tuple[int, int, int]
Picture = Image.Image


@dataclass(frozen=True)
class Example:
    """One clip: a drawing for each moment, and words for its music (none: a silent clip)."""

    name: str
    title: str
    about: str
    duration_s: float
    draw: Callable[[float], Picture] | None
    music: str
    seed: int = 0


def canvas(color: Color = (0, 0, 0)) -> Picture:
    return Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), color)


def gradient(top: Color, bottom: Color) -> Picture:
    rows = np.linspace(0, 1, HEIGHT * SCALE)[:, None]
    colors = (np.asarray(top) * (1 - rows) + np.asarray(bottom) * rows).astype(np.uint8)
    return Image.fromarray(np.repeat(colors[:, None, :], WIDTH * SCALE, axis=1))


def mixed(a: Color, b: Color, share: float) -> Color:
    share = min(1.0, max(0.0, share))
    red, green, blue = (round(x * (1 - share) + y * share) for x, y in zip(a, b, strict=True))
    return red, green, blue


# -- night drive -------------------------------------------------------------------------------------------------


def night_drive(t: float) -> Picture:
    """Neon road, then the skyline from the side, then the road again, faster; cuts at 4 s and 7 s."""
    if t < 4:
        return neon_road(t, speed=1.0, sun=1.0)
    if t < 7:
        return skyline(t - 4)
    return neon_road(t * 1.4, speed=1.8, sun=0.72)


def neon_road(t: float, speed: float, sun: float) -> Picture:
    picture = gradient((22, 8, 48), (94, 22, 98))
    draw = ImageDraw.Draw(picture)
    w, h = picture.size
    horizon = int(h * 0.55)
    radius = int(h * 0.26 * sun)
    for dy in range(-radius, radius):
        stripe = dy > 0 and (dy // max(3, (radius - dy) // 7 + 3)) % 2
        y = horizon - radius // 2 + dy
        if stripe or y >= horizon:
            continue
        half = int(math.sqrt(radius * radius - dy * dy))
        color = mixed((255, 222, 96), (255, 62, 150), (dy + radius) / (2 * radius))
        draw.line([(w // 2 - half, y), (w // 2 + half, y)], fill=color)
    draw.rectangle([0, horizon, w, h], fill=(12, 4, 30))
    for i in range(-24, 25):
        draw.line([(w // 2 + i * w // 40, horizon), (w // 2 + i * w // 4, h)], fill=(64, 190, 255), width=3)
    for i in range(14):
        depth = ((i - t * speed * 3) % 14) / 14
        y = horizon + int((h - horizon) * (1 / (0.08 + depth) - 1 / 1.08) / (1 / 0.08 - 1 / 1.08))
        draw.line([(0, y), (w, y)], fill=mixed((64, 190, 255), (30, 40, 90), depth), width=3)
    return picture


def skyline(t: float) -> Picture:
    picture = gradient((10, 12, 40), (52, 24, 84))
    draw = ImageDraw.Draw(picture)
    w, h = picture.size
    for layer, (color, speed, tall) in enumerate([((30, 26, 74), 40, 0.5), ((18, 14, 50), 110, 0.66)]):
        rng = np.random.default_rng(layer)
        x = -int(t * speed * SCALE) - 80
        while x < w + 80:
            width = int(rng.integers(60, 130))
            top = h - int(h * tall * rng.uniform(0.5, 1.0))
            draw.rectangle([x, top, x + width, h], fill=color)
            for wx in range(x + 10, x + width - 14, 22):
                for wy in range(top + 12, h - 50, 30):
                    if rng.random() < 0.35:
                        draw.rectangle([wx, wy, wx + 9, wy + 13], fill=(255, 214, 120) if layer else (150, 120, 190))
            x += width + int(rng.integers(4, 26))
    draw.rectangle([0, h - 44, w, h], fill=(6, 5, 20))
    for i in range(12):
        x = int((i * 170 - t * 900) % (w + 170)) - 85
        draw.rectangle([x, h - 26, x + 74, h - 20], fill=(255, 90, 170))
    return picture


# -- dawn over hills ---------------------------------------------------------------------------------------------


def dawn(t: float) -> Picture:
    """One long shot: the camera pans slowly over hills while the sun rises."""
    share = t / 10
    picture = gradient(mixed((32, 40, 84), (110, 170, 224), share), mixed((190, 110, 120), (255, 220, 170), share))
    draw = ImageDraw.Draw(picture)
    w, h = picture.size
    sun_y = int(h * (0.72 - 0.42 * share))
    glow = Image.new("RGB", picture.size)
    ImageDraw.Draw(glow).ellipse([w * 0.62 - 170, sun_y - 170, w * 0.62 + 170, sun_y + 170], fill=(120, 80, 40))
    picture = Image.fromarray(
        np.minimum(np.asarray(picture, np.int16) + np.asarray(glow.filter(ImageFilter.GaussianBlur(60)), np.int16), 255)
        .astype(np.uint8)
    )  # fmt: skip
    draw = ImageDraw.Draw(picture)
    draw.ellipse(
        [w * 0.62 - 54, sun_y - 54, w * 0.62 + 54, sun_y + 54], fill=mixed((255, 170, 110), (255, 244, 200), share)
    )
    far, near = mixed((70, 70, 110), (140, 170, 170), share), mixed((20, 34, 40), (52, 96, 58), share)
    x = np.arange(0, w + 8, 8)
    for layer in range(4):
        shift = x + t * SCALE * 10 * (layer + 1)
        base = h * (0.56 + 0.12 * layer)
        crest = base + 34 * np.sin(shift / 260 + layer * 2) + 16 * np.sin(shift / 97 + layer) + 5 * np.sin(shift / 31)
        points = [(int(a), int(b)) for a, b in zip(x, crest, strict=True)]
        draw.polygon([*points, (w, h), (0, h)], fill=mixed(far, near, layer / 3))
    for i in range(5):
        bx, by = (i * 53 + t * 46 * SCALE) % (w + 100) - 50, h * 0.22 + 20 * math.sin(i * 1.7 + t) + 14 * i
        flap = 9 * math.sin(t * 9 + i)
        draw.line([(bx - 15, by - flap), (bx, by), (bx + 15, by - flap)], fill=(30, 30, 44), width=4)
    return picture


# -- rain on a window --------------------------------------------------------------------------------------------


def rain(t: float) -> Picture:
    """Blurred city lights behind a wet window; the camera does not move."""
    picture = gradient((10, 14, 26), (22, 28, 44))
    rng = np.random.default_rng(3)
    draw = ImageDraw.Draw(picture)
    w, h = picture.size
    lights = [(255, 190, 110), (255, 120, 90), (120, 180, 255), (240, 230, 200)]
    for i in range(26):
        x, y, r = rng.uniform(0, w), rng.uniform(h * 0.25, h * 0.95), rng.uniform(16, 46)
        shine = 0.55 + 0.3 * math.sin(t * 0.7 + i)
        draw.ellipse([x - r, y - r, x + r, y + r], fill=mixed((16, 20, 34), lights[i % 4], 0.5 * shine))
    picture = picture.filter(ImageFilter.GaussianBlur(9))
    draw = ImageDraw.Draw(picture)
    for i in range(70):
        x, speed, size = rng.uniform(0, w), rng.uniform(50, 420), rng.uniform(3, 8)
        y = (rng.uniform(0, h) + t * speed) % (h + 60) - 30
        x += 5 * math.sin(y / 37 + i)
        draw.line([(x, y - speed * 0.09), (x, y)], fill=(80, 96, 124), width=2)
        draw.ellipse([x - size, y - size, x + size, y + size * 1.3], fill=(120, 140, 170))
        draw.ellipse([x - size * 0.4, y - size * 0.5, x + size * 0.1, y], fill=(214, 226, 240))
    return picture


# -- paper shapes ------------------------------------------------------------------------------------------------

PAPER = [(247, 236, 214), (255, 205, 86), (255, 107, 107), (72, 191, 227), (106, 76, 147), (64, 201, 140)]


def shapes(t: float) -> Picture:
    """Bright paper shapes that bounce; a cut every second."""
    scene, inside = int(t), t % 1
    background, rng = PAPER[scene % len(PAPER)], np.random.default_rng(scene)
    picture = canvas(background)
    draw = ImageDraw.Draw(picture)
    w, h = picture.size
    for i in range(7):
        color = PAPER[(scene + 1 + i % (len(PAPER) - 1)) % len(PAPER)]
        x = w * (i + 0.5) / 7 + rng.uniform(-20, 20)
        jump = abs(math.sin(math.pi * (inside * 2 + i / 7)))
        y, r = h * 0.8 - jump * h * 0.5, 46 + 18 * rng.random()
        draw.ellipse([x - r * 0.8, h * 0.87, x + r * 0.8, h * 0.9], fill=mixed(background, (0, 0, 0), 0.18))
        corners = (scene + i) % 4 + 2
        if corners == 2:
            draw.ellipse([x - r, y - r, x + r, y + r], fill=color)
            continue
        turn = inside * 3 + i
        points = [
            (
                x + r * 1.15 * math.cos(turn + 2 * math.pi * k / corners),
                y + r * 1.15 * math.sin(turn + 2 * math.pi * k / corners),
            )
            for k in range(corners)
        ]
        draw.polygon(points, fill=color)
    return picture


EXAMPLES = [
    Example(
        "night-drive", "Night drive", "A neon road and a skyline, with cuts at 4 and 7 seconds.", 10.0, night_drive,
        "Energetic synthwave in A minor at 118 BPM, pulsing bass and big drums, a drive through a neon city",
        seed=11,
    ),
    Example(
        "dawn", "Dawn over hills", "One slow pan while the sun rises.", 10.0, dawn,
        "A calm orchestral piece in D major at 72 BPM that starts quietly and builds, no drums", seed=8,
    ),
    Example("rain", "Rain on a window (silent)", "City lights behind a wet window; no sound at all.", 8.0, rain, ""),
    Example(
        "shapes", "Paper shapes", "Bright shapes that bounce, with a cut every second.", 8.0, shapes,
        "Playful funk in E flat major at 120 BPM, bright and bouncy with slap bass and claps", seed=3,
    ),
    Example(
        "slow-waltz", "Slow waltz (music alone)", "A track without a picture: reference music for the rain clip, say.",
        16.0, None, "A tender, melancholic piano waltz in F sharp minor at 84 BPM, like rain on a window", seed=2,
    ),
]  # fmt: skip


def frames(example: Example) -> Iterator[NDArray[np.uint8]]:
    """The example's frames, `(height, width, 3)` uint8 RGB."""
    assert example.draw
    for i in range(round(example.duration_s * FPS)):
        small = example.draw(i / FPS).resize((WIDTH, HEIGHT), Image.Resampling.BOX)
        yield np.asarray(small)


def encode(example: Example, path: Path) -> None:
    """Write the pictures of `example`, without sound."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "24", "preset": "slow", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for image in frames(example):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def encode_track(wav: Path, path: Path) -> None:
    """Write the sound of `wav` as MP3."""
    sound = media.read_audio(media.probe(wav))
    with media.atomic_path(path) as part, av.open(str(part), "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=sound.sample_rate, layout="stereo")
        stream.bit_rate = 160_000
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.waveform), format="fltp", layout="stereo")
        frame.sample_rate = sound.sample_rate
        resampler = av.AudioResampler(format=stream.format, layout="stereo", rate=sound.sample_rate, frame_size=1152)
        for resampled in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(resampled))
        container.mux(stream.encode())


def make(example: Example, folder: Path) -> Path:
    """Write one example to `folder`; return its path."""
    with tempfile.TemporaryDirectory() as scratch:
        wav, silent = Path(scratch) / "music.wav", Path(scratch) / "silent.mp4"
        if example.music:
            musiscene.score(example.music, out=wav, duration_s=example.duration_s, seed=example.seed)
        if example.draw is None:
            path = folder / f"{example.name}.mp3"
            encode_track(wav, path)
            return path
        path = folder / f"{example.name}.mp4"
        encode(example, silent)
        if example.music:
            sound = media.read_audio(media.probe(wav))
            mux.mux(media.probe(silent), sound.waveform, sound.sample_rate, path)
        else:
            path.write_bytes(silent.read_bytes())
        return path


def main(names: list[str]) -> None:
    """Make the examples called `names`, or all."""
    OUT.mkdir(exist_ok=True)
    for example in EXAMPLES:
        if not names or example.name in names:
            path = make(example, OUT)
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
    path = OUT / "examples.json"
    known = {entry["file"]: entry for entry in json.loads(path.read_text("utf-8"))} if path.is_file() else {}
    listed = []
    for example in EXAMPLES:
        file = f"{example.name}.{'mp3' if example.draw is None else 'mp4'}"
        kind = "track" if example.draw is None else "video"
        written = {"file": file, "title": example.title, "kind": kind, "about": example.about}
        listed.append({**known.get(file, {}), **written})  # what translators added stays
    path.write_text(json.dumps(listed, indent=2, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
