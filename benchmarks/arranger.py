"""Does the arranger write what is asked? Measured from its sound and its MIDI, not from its own opinion.

    python benchmarks/arranger.py --json [--held-out] [--limit N] [--seconds S]

The estimators are independent of the arranger: librosa's beat and onset tools for tempo, the key profiles of
C. Krumhansl ("Cognitive Foundations of Musical Pitch", 1990, chapter 4) on a chromagram for the key, root mean squares
for energy, and pretty_midi's reading of the file for notes.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pretty_midi
from scipy.stats import spearmanr

from musiscene.soundtracks._arranger.brief import CURVES
from musiscene.soundtracks._arranger.instruments import INSTRUMENTS
from musiscene.soundtracks._arranger.theory import pitch_class
from musiscene.soundtracks.sketch import load
from musiscene.types import Caption, CaptionKind, Job, ScoreRequest, Soundtrack

CAPTIONS = Path(__file__).with_name("arranger_captions.json")
_MAJOR = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
_MINOR = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])
_PARENT = {"major": 0, "minor": 3, "dorian": 10, "phrygian": 8, "lydian": 7, "mixolydian": 5, "harmonic minor": 3}
_FAMILIES = {
    "piano": range(0, 6),
    "guitar": range(24, 32),
    "bass": range(32, 40),
    "strings": [*range(40, 46), *range(48, 52), 110],
    "brass": range(56, 64),
    "voice": [52, 53, 54, 85, 91],
    "synth": [38, 39, 50, 51, 54, 62, 63, *range(80, 104)],
    "flute": [72, 73, 74, 75, 77, 78, 79],
    "trumpet": [56, 59],
}


def make(generator: Any, text: str, seconds: float, seed: int = 0, **more: Any) -> Soundtrack:
    """One soundtrack."""
    request = ScoreRequest(Caption(CaptionKind.MUSIC, text, "benchmark"), seconds, seed, **more)
    return next(iter(generator.generate([request], Job())))


def heard_tempi(sound: np.ndarray, rate: int) -> tuple[list[float], np.ndarray]:
    """Tempo of librosa's beat tracker (from neutral priors), and the onset strength it was found in."""
    import librosa

    mono = librosa.resample(sound.mean(axis=0), orig_sr=rate, target_sr=22050)
    onset = librosa.onset.onset_strength(y=mono, sr=22050, hop_length=256)
    found = []
    for prior in (110.0,):
        tempo, beats = librosa.beat.beat_track(
            onset_envelope=onset, sr=22050, hop_length=256, start_bpm=prior, tightness=200
        )
        times = librosa.frames_to_time(beats, sr=22050, hop_length=256)
        if len(times) > 4:
            slope = np.polyfit(np.arange(len(times)), times, 1)[0]  # finer than a lag of frames
            found.append(60.0 / float(slope))
        else:
            found.append(float(np.atleast_1d(tempo)[0]))
    return found, onset


def tempo_agrees(heard: list[float], low: float, high: float) -> bool:
    """Within 4 % of what was asked, an octave (or a triple pulse) allowed; the first estimate counts."""
    ratios = (1.0, 2.0, 0.5, 3.0, 1 / 3, 1.5, 2 / 3)[:3]
    return any(0.96 * low <= heard[0] * ratio <= 1.04 * high for ratio in ratios)


def chroma_of(sound: np.ndarray, rate: int) -> np.ndarray:
    """Chroma between 60 Hz and 2 kHz, where the tones are, shape (12, frames)."""
    import librosa

    mono = librosa.resample(sound.mean(axis=0), orig_sr=rate, target_sr=22050)
    power = np.abs(librosa.stft(mono, n_fft=8192, hop_length=4096)) ** 2
    frequencies = librosa.fft_frequencies(sr=22050, n_fft=8192)
    power[(frequencies < 60) | (frequencies > 2000)] = 0.0
    compressed = np.sqrt(power)
    return np.asarray(librosa.feature.chroma_stft(S=compressed, sr=22050, n_fft=8192, tuning=0.0))


def heard_key(chroma: np.ndarray) -> tuple[int, bool]:
    """Tonic and whether it is minor."""
    profile = chroma.mean(axis=1)
    scores = [
        (float(np.corrcoef(np.roll(kind, tonic), profile)[0, 1]), tonic, minor)
        for tonic in range(12)
        for minor, kind in ((False, _MAJOR), (True, _MINOR))
    ]
    _, tonic, minor = max(scores)
    return tonic, minor


def key_agrees(heard: tuple[int, bool], key: str) -> bool:
    """The same key or its relative; for church modes the same seven notes or the same tonic."""
    name, mode = key.split(" ", 1)
    asked = (pitch_class(name) + _PARENT[mode]) % 12
    parent = (heard[0] + 3) % 12 if heard[1] else heard[0]
    minor = mode in ("minor", "dorian", "phrygian", "harmonic minor")
    return parent == asked or (heard[0] == pitch_class(name) and heard[1] == minor)


def violations(midi: pretty_midi.PrettyMIDI, without: list[str]) -> list[str]:
    """What plays although it was left out."""
    found = []
    for instrument in midi.instruments:
        for name in without:
            if name == "drums":
                bad = instrument.is_drum or instrument.program in (47, 112, 113, 115, 116, 117, 118, 119)
            elif name == "melody":
                bad = "melody" in instrument.name
            else:
                bad = not instrument.is_drum and instrument.program in _FAMILIES[name]
            if bad and instrument.notes:
                found.append(f"{name}: {instrument.name}")
    return found


def curve_agreement(sound: np.ndarray, shape: tuple[float, ...]) -> float:
    """Rank correlation between the energy that was asked and the level of 24 equal stretches."""
    parts = np.array_split(sound, 24, axis=1)
    level = [float(np.sqrt(np.mean(np.square(part, dtype=np.float64)))) for part in parts]
    asked = np.interp((np.arange(24) + 0.5) / 24, np.linspace(0, 1, len(shape)), shape)
    return float(spearmanr(level, asked).statistic)


def cut_figures(generator: Any, seconds: float, count: int) -> dict[str, float]:
    """Cuts within 80 ms of a beat of the file's own tempo map; chance is the same music with cuts drawn anew."""
    texts = (
        "Upbeat pop for a travel film",
        "Dark cinematic tension",
        "Rock at 120 BPM",
        "Slow ambient piano",
        "House music, 124 bpm",
        "Jazz trio, relaxed",
        "Epic orchestral battle",
        "Folk guitar, 90-110 BPM",
    )
    hits, chance, per_clip, restless = [], [], [], []
    for number in range(count):
        rng = random.Random(number)
        cuts, at = [], rng.uniform(0.8, 3.0)
        while at < seconds - 0.5:
            cuts.append(round(at, 3))
            at += rng.choice((rng.uniform(0.7, 2.0), rng.uniform(1.5, 5.0)))
        track = make(generator, texts[number % len(texts)], seconds, number, cuts_s=tuple(cuts))
        midi = pretty_midi.PrettyMIDI(io.BytesIO(track.midi))
        beats = midi.get_beats()
        others = [rng.uniform(0.3, seconds - 0.3) for _ in range(200)]
        mine = [float(np.min(np.abs(beats - cut)) <= 0.08) for cut in cuts]
        hits += mine
        per_clip.append(float(np.mean(mine)))
        chance += [float(np.min(np.abs(beats - cut)) <= 0.08) for cut in others]
        _, tempi = midi.get_tempo_changes()
        restless.append(float(max(tempi) / min(tempi) - 1))
    return {
        "cuts": len(hits),
        "share_on_beats": float(np.mean(hits)),
        "chance": float(np.mean(chance)),
        "worst_clip": min(per_clip),
        "clips_at_least_70_percent": float(np.mean([share >= 0.7 for share in per_clip])),
        "tempo_spread_median": statistics.median(restless),
    }


def note_statistics(midi: pretty_midi.PrettyMIDI) -> dict[str, Any]:
    """Melodic intervals, velocities, ranges."""
    melody = next((i for i in midi.instruments if "(melody)" in i.name), None)
    steps = np.abs(np.diff([n.pitch for n in melody.notes])) if melody and len(melody.notes) > 4 else np.array([])
    outside = 0
    notes = 0
    by_program = {one.program: one for one in INSTRUMENTS.values()}
    for instrument in midi.instruments:
        if instrument.is_drum:
            continue
        ranges = [one for one in INSTRUMENTS.values() if one.program == instrument.program] or [by_program[0]]
        low, high = min(one.low for one in ranges), max(one.high for one in ranges)
        notes += len(instrument.notes)
        outside += sum(not low <= note.pitch <= high for note in instrument.notes)
    velocities = [note.velocity for instrument in midi.instruments for note in instrument.notes]
    return {
        "steps": steps.tolist(),
        "outside": outside,
        "notes": notes,
        "velocity_sd": float(np.std(velocities)) if velocities else 0.0,
    }


def distance(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> tuple[float, float]:
    """How different two pieces are: chroma over time and onsets over time, each 0 (equal) to 2."""

    def far(a: np.ndarray, b: np.ndarray) -> float:
        length = min(a.shape[-1], b.shape[-1])
        return 1.0 - float(np.corrcoef(a[..., :length].ravel(), b[..., :length].ravel())[0, 1])

    return far(one[0], other[0]), far(one[1], other[1])


def take_figures(generator: Any, seconds: float) -> dict[str, float]:
    """Distances between takes of one caption and between four captions of one clip."""
    texts = ("Upbeat pop for a travel film", "Slow sad piano", "Epic orchestral trailer")
    four = (
        "A car drives through a city at night; the pace is fast and the light is dark and blue.",
        "Energetic electronic music at 120 BPM in A minor with synthesizers and drums.",
        "A fast night drive through a city with energetic electronic music at 120 BPM in A minor.",
        "The music is suitable for a scene of a chase through a neon city, where a driver outruns the police.",
    )
    groups = [[make(generator, text, seconds, seed) for seed in range(4)] for text in texts]
    groups.append([make(generator, text, seconds, 0) for text in four])
    chroma_far, onset_far = [], []
    for group in groups:
        features = []
        for track in group:
            _, onset = heard_tempi(track.waveform, track.sample_rate)
            steady = onset[40:]  # the very first onset outweighs all others
            features.append(
                (chroma_of(track.waveform, track.sample_rate), np.minimum(steady, np.quantile(steady, 0.95)))
            )
        for i in range(len(features)):
            for j in range(i):
                a, b = distance(features[i], features[j])
                chroma_far.append(a)
                onset_far.append(b)
    return {
        "chroma_least": min(chroma_far),
        "chroma_median": statistics.median(chroma_far),
        "onset_least": min(onset_far),
        "onset_median": statistics.median(onset_far),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--only-captions", action="store_true", help="skip cuts, takes and speed")
    chosen = parser.parse_args()
    captions = json.loads(CAPTIONS.read_text(encoding="utf-8"))["held_out" if chosen.held_out else "tuning"]
    captions = captions[: chosen.limit] if chosen.limit else captions
    generator = load({})
    tempo, key, broken, curves, steps, failures = [], [], [], [], [], []
    outside = notes = 0
    spreads = []
    for number, entry in enumerate(captions):
        print(f"{number + 1}/{len(captions)} {len(failures)} failures", file=sys.stderr)
        track = make(generator, entry["text"], chosen.seconds)
        midi = pretty_midi.PrettyMIDI(io.BytesIO(track.midi))
        if "bpm" in entry or "range" in entry:
            low, high = entry.get("range", [entry.get("bpm")] * 2)
            heard, _ = heard_tempi(track.waveform, track.sample_rate)
            tempo.append(tempo_agrees(heard, low, high))
            if not tempo[-1]:
                failures.append(f"tempo {low:g}-{high:g}, heard {heard[0]:.1f}: {entry['text']}")
        if "key" in entry:
            heard_one = heard_key(chroma_of(track.waveform, track.sample_rate))
            key.append(key_agrees(heard_one, entry["key"]))
            if not key[-1]:
                written = track.provenance["written"]["key"]
                failures.append(f"key {entry['key']}, heard {heard_one}, written {written}: {entry['text']}")
        if "without" in entry:
            found = violations(midi, entry["without"])
            broken.append(bool(found))
            failures += [f"left out but plays: {one}: {entry['text']}" for one in found]
        if "curve" in entry:
            curves.append(curve_agreement(track.waveform, CURVES[entry["curve"]]))
            if curves[-1] < 0.6:
                failures.append(f"curve {entry['curve']} {curves[-1]:.2f}: {entry['text']}")
        figures = note_statistics(midi)
        steps += figures["steps"]
        outside += figures["outside"]
        notes += figures["notes"]
        spreads.append(figures["velocity_sd"])
    moves = np.array(steps)
    report: dict[str, Any] = {
        "captions": len(captions),
        "tempo_heard": float(np.mean(tempo)),
        "tempo_cases": len(tempo),
        "key_heard": float(np.mean(key)),
        "key_cases": len(key),
        "leave_outs_violated": int(sum(broken)),
        "leave_out_cases": len(broken),
        "curve_least": min(curves),
        "curve_median": statistics.median(curves),
        "curve_cases": len(curves),
        "melody": {
            "repeated": float(np.mean(moves == 0)),
            "steps_up_to_2": float(np.mean((moves > 0) & (moves <= 2))),
            "thirds_fourths": float(np.mean((moves > 2) & (moves <= 5))),
            "leaps_over_5": float(np.mean(moves > 5)),
            "over_octave": float(np.mean(moves > 12)),
        },
        "notes_outside_range": outside,
        "notes": notes,
        "velocity_sd_median": statistics.median(spreads),
        "failures": failures,
    }
    if not chosen.only_captions:
        report["cuts"] = cut_figures(generator, chosen.seconds, 24)
        report["takes"] = take_figures(generator, min(20.0, chosen.seconds))
    print(json.dumps(report, indent=None if chosen.json else 2, ensure_ascii=False))


if __name__ == "__main__":
    main()
