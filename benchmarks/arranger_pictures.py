"""Draw what the arranger wrote and how it sounds: a piano roll and a spectrogram for each of ten briefs.

    python benchmarks/arranger_pictures.py OUT_DIR [--notes]

`--notes` also writes the melody of each as text, one phrase a line.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np

from musiscene.soundtracks._arranger import compose, mix, theory
from musiscene.soundtracks._arranger.piece import Piece
from musiscene.soundtracks._arranger.sampler import SAMPLE_RATE
from musiscene.soundtracks.sketch import load, read_brief
from musiscene.types import Job

BRIEFS = (
    "Sweeping orchestral film score in D minor that starts quietly and builds to a huge climax",
    "Slow, melancholic piano ballad in A minor at 66 BPM",
    "Energetic electronic dance music, 128 BPM, F minor",
    "Lo-fi hip hop beat for studying, mellow and warm, 78 BPM",
    "Upbeat bluegrass with banjo and fiddle in G major",
    "Cool jazz quartet with saxophone, 120 BPM",
    "Bossa nova at a beach cafe, flute and nylon guitar",
    "Creepy horror music with music box and low strings",
    "Baroque concerto in D major with harpsichord, allegro",
    "Viennese waltz for strings in G major, swells then calms",
)
_COLOURS = {
    "melody": "#d62728",
    "counter": "#9467bd",
    "bass": "#1f77b4",
    "comp": "#2ca02c",
    "pad": "#8fbf8f",
    "arp": "#17becf",
    "drums": "#7f7f7f",
    "double": "#ff9896",
    "hits": "#8c564b",
}


def roll(piece: Piece, axis: mpl.axes.Axes) -> None:
    """Notes as bars: colour by role, strength of colour by velocity."""
    for part in piece.parts:
        for note in part.notes:
            start = piece.clock.at(note.beat)
            end = piece.clock.at(note.beat + note.length)
            pitch = 20 + (note.pitch - 35) * 0.25 if part.drums else note.pitch
            axis.barh(
                pitch,
                end - start,
                left=start,
                height=0.25 if part.drums else 0.9,
                color=_COLOURS[part.role],
                alpha=0.15 + 0.85 * note.velocity / 127,
            )
    for beat, name in piece.markers:
        axis.axvline(piece.clock.at(beat), color="k", lw=0.6, alpha=0.5)
        axis.text(piece.clock.at(beat), 101, name, fontsize=7)
    axis.set_xlim(0, piece.duration_s)
    axis.set_ylim(18, 105)
    axis.set_title(f"{piece.title}: {piece.facts['chords']}"[:190], fontsize=7)


def melody_text(piece: Piece) -> str:
    """The melody in words: bar, then note names with lengths."""
    part = next((part for part in piece.parts if part.role == "melody"), None)
    if part is None:
        return "(no melody)"
    lines: dict[int, list[str]] = {}
    for note in part.notes:
        bar = int((note.beat + 0.1) // piece.meter.beats)
        name = theory.key_name(note.pitch % 12, piece.mode) + str(note.pitch // 12 - 1)
        lines.setdefault(bar, []).append(f"{name}:{note.length:.2f}v{note.velocity}")
    return "\n".join(f"{bar:3d}  {'  '.join(words)}" for bar, words in lines.items())


def main() -> None:
    """Draw all briefs."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--notes", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=30.0)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    sampler = load({})._sampler
    for number, text in enumerate(BRIEFS):
        piece = compose.compose(read_brief(text), text=text, seed=chosen.seed, duration_s=chosen.seconds)
        sound = mix.render(piece, sampler, Job())
        figure, (top, bottom) = plt.subplots(2, 1, figsize=(14, 9), height_ratios=(3, 1.3), sharex=True)
        roll(piece, top)
        bottom.specgram(sound.mean(axis=0) + 1e-9, NFFT=2048, Fs=SAMPLE_RATE, noverlap=1024, vmin=-140, vmax=-40)
        bottom.set_ylim(0, 10000)
        twin = bottom.twinx()
        hop = SAMPLE_RATE // 4
        rms = [
            20 * np.log10(np.sqrt(np.mean(sound[:, i : i + hop] ** 2)) + 1e-6) for i in range(0, sound.shape[1], hop)
        ]
        twin.plot(np.arange(len(rms)) / 4, rms, color="w", lw=1.5)
        figure.suptitle(text, fontsize=9)
        figure.tight_layout()
        figure.savefig(chosen.out / f"{number:02d}.png", dpi=70)
        plt.close(figure)
        if chosen.notes:
            (chosen.out / f"{number:02d}.txt").write_text(f"{text}\n{piece.facts}\n{melody_text(piece)}\n")
        print(f"{number:02d} {text}")


if __name__ == "__main__":
    main()
