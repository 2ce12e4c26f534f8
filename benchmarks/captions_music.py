"""How right the sketch listener is: tempo, key, kind of sound, and scenes that do not depend on the encoding.

    python benchmarks/captions_music.py --quick
    python benchmarks/captions_music.py --full --json > music.json

Four parts: music rendered here with known tempo and key; the real clips of MUSISCENE_MEDIA whose facts are documented;
the same clips changed (level, mp3, sample rate, mono); and sounds that are no music. librosa's tempo and a plain
Krumhansl key estimate run beside ours on the same sound. Weights were fitted on other seeds than the default.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rendered_music import SAMPLE_RATE, items, render

from musiscene.captions._music.analysis import Analysis
from musiscene.captions._music.imagination import imagine, msi_sentences
from musiscene.captions._music.key import krumhansl_key
from musiscene.captions._music.listening import hear
from musiscene.errors import MusisceneError
from musiscene.media import Audio, probe, read_audio

HELD_OUT_SEED = 4242
PITCH_CLASSES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


# -- what counts as right --


def same_tempo(found: float | None, true: float, factors: tuple[float, ...] = (1.0,)) -> bool:
    """Within 4 % of the true tempo, or of one of its multiples."""
    return found is not None and any(abs(found / (true * factor) - 1) <= 0.04 for factor in factors)


OCTAVES = (1.0, 2.0, 0.5, 3.0, 1 / 3)


def parse_key(text: str) -> tuple[int, str | None] | None:
    """Pitch class and mode of "F# minor", "Eb", "D" …; the mode is None where none is named."""
    match = re.match(r"\s*([A-G])([#b]?)(?:\s+(major|minor))?", text)
    if not match:
        return None
    pitch = (PITCH_CLASSES[match[1]] + {"#": 1, "b": -1, "": 0}[match[2]]) % 12
    return pitch, match[3]


def key_score(found: str | None, accepted: list[tuple[int, str | None]]) -> int:
    """2 for the exact key, 1 for its relative, 0 for another."""
    if found is None:
        return 0
    pitch, mode = parse_key(found) or (0, None)
    best = 0
    for true, true_mode in accepted:
        for wanted in [true_mode] if true_mode else ["major", "minor"]:
            relative = (true + 9) % 12 if wanted == "major" else (true + 3) % 12
            if pitch == true and mode == wanted:
                best = 2
            elif pitch == relative and mode != wanted:
                best = max(best, 1)
    return best


# -- what we compare with --


def librosa_tempo(mono: np.ndarray, rate: int) -> float:
    """The tempo of librosa, as its users get it."""
    import librosa

    return float(np.atleast_1d(librosa.feature.tempo(y=mono, sr=rate))[0])


def plain_key(mono: np.ndarray, rate: int) -> str:
    """Mean chroma of librosa's STFT against the Krumhansl-Kessler profiles."""
    import librosa

    return krumhansl_key(librosa.feature.chroma_stft(y=mono, sr=rate).mean(axis=1))


def rates(rows: list[dict[str, Any]], names: tuple[str, ...]) -> dict[str, float]:
    """Share of the rows in which each fact holds; rows without the fact do not count."""
    found = {}
    for name in names:
        values = [row[name] for row in rows if row.get(name) is not None]
        found[name] = round(float(np.mean(values)), 3) if values else float("nan")
        found[f"{name}_of"] = len(values)
    return found


# -- the four parts --


def rendered(count: int, seed: int, compare: bool) -> dict[str, Any]:
    """Tempo and key of rendered music, ours and the simple methods'."""
    rows = []
    seconds = 0.0
    for item in items(count, seed):
        waveform = render(item)
        began = time.perf_counter()
        found = hear([(Audio(waveform, SAMPLE_RATE), 0.0)])
        seconds += time.perf_counter() - began
        row = judge(found, item.tempo_bpm, [parse_key(item.key)] if item.key else [])
        row |= {"style": item.style, "true": f"{item.tempo_bpm} {item.key}", "meter_true": item.meter}
        row["meter_right"] = None if not found.beats or found.beats.meter is None else found.beats.meter == item.meter
        if compare:
            row |= judge_others(waveform.mean(axis=0), SAMPLE_RATE, item.tempo_bpm, item.key)
        rows.append(row)
    misses = Counter(row["style"] for row in rows if not row["tempo_octave"] or row["key_relative"] is False)
    return {"items": count, "seed": seed, **rates(rows, FACTS), **rates(rows, ("meter_right",)),
            "misses_by_style": dict(misses), "seconds_per_minute": round(seconds / (count * 20 / 60), 2)}  # fmt: skip


FACTS = (
    "tempo_exact", "tempo_octave", "key_exact", "key_relative",
    "librosa_tempo_exact", "librosa_tempo_octave", "krumhansl_exact", "krumhansl_relative",
)  # fmt: skip


def judge(found: Analysis, tempo: float | None, accepted: list[Any]) -> dict[str, Any]:
    """Which facts hold for our analysis."""
    bpm = found.beats.tempo_bpm if found.beats else None
    name = found.key.name if found.key else None
    return {
        "tempo_bpm": bpm and round(bpm, 1),
        "key": name,
        "tempo_exact": None if tempo is None else same_tempo(bpm, tempo),
        "tempo_octave": None if tempo is None else same_tempo(bpm, tempo, OCTAVES),
        "key_exact": key_score(name, accepted) == 2 if accepted else None,
        "key_relative": key_score(name, accepted) > 0 if accepted else None,
    }


def judge_others(mono: np.ndarray, rate: int, tempo: float | None, key: str | None) -> dict[str, Any]:
    """Which facts hold for the simple methods."""
    row: dict[str, Any] = {}
    if tempo is not None:
        bpm = librosa_tempo(mono, rate)
        row |= {"librosa_tempo_exact": same_tempo(bpm, tempo), "librosa_tempo_octave": same_tempo(bpm, tempo, OCTAVES)}
    accepted = documented_keys(key)
    if accepted:
        name = plain_key(mono, rate)
        row |= {"krumhansl_exact": key_score(name, accepted) == 2, "krumhansl_relative": key_score(name, accepted) > 0}
    return row


def documented_keys(text: str | None) -> list[tuple[int, str | None]]:
    """The keys that a manifest's words name: "F# minor per title; G minor measured" names two."""
    parts = re.split(r"[;/,]| or ", text or "")
    return [key for part in parts if (key := parse_key(part.strip()))]


def real_clips(media: Path) -> Iterator[tuple[dict[str, Any], Audio]]:
    """The music files of the manifest, decoded."""
    for entry in json.loads((media / "manifest.json").read_text())["files"]:
        if entry["category"] != "music":
            continue
        try:
            clip = probe(media / entry["name"])
            yield entry, read_audio(clip, stereo=True, duration_s=180.0)
        except MusisceneError as error:
            print(f"{entry['name']}: {error}", file=sys.stderr)


def real(media: Path, compare: bool) -> dict[str, Any]:
    """Documented tempo and key of real clips, whether MSI texts differ, and agreement with automatic estimates."""
    rows, texts = [], []
    for entry, audio in real_clips(media):
        found = hear([(audio, 0.0)])
        tempo, key = entry.get("tempo_bpm"), entry.get("key")
        row = {"name": entry["name"], **judge(found, tempo, documented_keys(key))}
        measured = entry.get("measured", {})
        if tempo is None and measured.get("tempo_bpm_estimate"):
            row["tempo_agrees"] = same_tempo(row["tempo_bpm"], measured["tempo_bpm_estimate"], OCTAVES)
        if key is None and measured.get("key_estimate"):
            row["key_agrees"] = key_score(row["key"], documented_keys(measured["key_estimate"])) > 0
        if compare:
            row |= judge_others(audio.waveform.mean(axis=0), audio.sample_rate, tempo, key)
        if found.kind.name != "silence":
            texts.append(msi_sentences(found, imagine(found, 0)))
        rows.append(row)
    scenes = Counter(text.split(" Its ")[0] for text in texts)
    return {
        "clips": len(rows),
        **rates(rows, FACTS),
        **rates(rows, ("tempo_agrees", "key_agrees")),
        "msi_texts": len(texts),
        "msi_texts_different": len(set(texts)),
        "msi_scenes_different": len(scenes),
        "rows": rows,
    }


def mp3(audio: Audio, kbps: int = 128) -> Audio:
    """The sound through an mp3 encoder and back."""
    import av

    rate = 44100
    wave = resampled(audio, rate).waveform
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp3") as out:
        stream = out.add_stream("libmp3lame", rate=rate, layout="stereo", bit_rate=kbps * 1000)
        for start in range(0, wave.shape[1], 1152):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(wave[:, start : start + 1152]), format="fltp", layout="stereo"
            )
            frame.sample_rate, frame.pts = rate, start
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    buffer.seek(0)
    with av.open(buffer) as back:
        decoded = np.concatenate([frame.to_ndarray() for frame in back.decode(audio=0)], axis=1)
    return Audio(decoded.astype(np.float32), rate)


def resampled(audio: Audio, rate: int) -> Audio:
    """The sound at another rate."""
    import soxr

    return Audio(soxr.resample(audio.waveform.T, audio.sample_rate, rate).T.astype(np.float32), rate)


CHANGES = {
    "1 dB louder": lambda audio: Audio(audio.waveform * np.float32(10**0.05), audio.sample_rate),
    "1 dB softer": lambda audio: Audio(audio.waveform * np.float32(10**-0.05), audio.sample_rate),
    "mp3 128 kbit/s": mp3,
    "mp3 64 kbit/s": lambda audio: mp3(audio, 64),
    "22.05 kHz": lambda audio: resampled(audio, 22050),
    "48 kHz": lambda audio: resampled(audio, 48000),
    "mono": lambda audio: Audio(audio.waveform.mean(axis=0, keepdims=True), audio.sample_rate),
}


def robustness(sounds: Iterator[Audio]) -> dict[str, Any]:
    """How often key, tempo (within 4 %) and scene stay what they were when only the encoding changes."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in CHANGES}
    for audio in sounds:
        before = hear([(audio, 0.0)])
        if before.kind.name == "silence":
            continue
        scene = imagine(before, 0)[0][0].id
        tempo = before.beats.tempo_bpm if before.beats else None
        for name, change in CHANGES.items():
            after = hear([(change(audio), 0.0)])
            bpm = after.beats.tempo_bpm if after.beats else None
            rows[name].append(
                {
                    "kind": after.kind.name == before.kind.name,
                    "key": (after.key and after.key.name) == (before.key and before.key.name),
                    "tempo": bpm is None if tempo is None else same_tempo(bpm, tempo),
                    "scene": after.kind.name != "silence" and imagine(after, 0)[0][0].id == scene,
                }
            )
    names = ("kind", "key", "tempo", "scene")
    table = {change: rates(part, names) for change, part in rows.items()}
    return {"changes": table, **rates([row for part in rows.values() for row in part], names)}


def no_music(seconds: float = 12.0) -> dict[str, Any]:
    """What is said of noise, hum, drones and silence: never a tempo."""
    rng = np.random.default_rng(5)
    count = int(seconds * SAMPLE_RATE)
    at = np.arange(count) / SAMPLE_RATE
    white = rng.standard_normal(count) * 0.1
    spectrum = np.fft.rfft(white)
    pink = np.fft.irfft(spectrum / np.sqrt(np.arange(spectrum.size) + 1), count)
    pink *= 0.3 / np.abs(pink).max()
    hum = sum(0.2 / k * np.sin(2 * np.pi * 50 * k * at) for k in range(1, 8))
    chord = sum(0.1 * np.sin(2 * np.pi * hertz * at) for hertz in (110, 165, 220, 277.2, 330))
    sounds = {
        "silence": (np.zeros(count), "silence"), "white noise": (white, "noise"), "pink noise": (pink, "noise"),
        "wind": (pink * (1 + 0.7 * np.sin(2 * np.pi * 0.3 * at)), "noise"), "hum": (hum, "drone"),
        "hum in noise": (hum + 0.3 * white, "drone"), "tone": (0.3 * np.sin(2 * np.pi * 440 * at), "drone"),
        "held chord": (chord, "drone"), "held chord in noise": (chord + 0.5 * white, "drone"),
        "slow tremolo": (chord * (1 + 0.5 * np.sin(2 * np.pi * 0.4 * at)), "drone"),
    }  # fmt: skip
    rows = []
    for name, (sound, kind) in sounds.items():
        found = hear([(Audio(np.asarray(sound, np.float32)[None], SAMPLE_RATE), 0.0)])
        rows.append(
            {"name": name, "kind": found.kind.name, "right": found.kind.name == kind, "no_tempo": not found.beats}
        )
    return {**rates(rows, ("right", "no_tempo")), "rows": rows}


def main() -> None:
    """Run the parts that were asked for and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="48 rendered items, robustness on 8 sounds (default)")
    size.add_argument("--full", action="store_true", help="432 rendered items, robustness on every real clip")
    parser.add_argument("--seed", type=int, default=HELD_OUT_SEED, help="of the rendered items")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--no-compare", action="store_true", help="leave librosa out")
    options = parser.parse_args()
    media = Path(os.environ.get("MUSISCENE_MEDIA", Path(__file__).parents[2] / "shared" / "media"))
    compare = not options.no_compare
    report: dict[str, Any] = {}
    report["rendered"] = rendered(432 if options.full else 48, options.seed, compare)
    report["no_music"] = no_music()
    made = [Audio(render(item), SAMPLE_RATE) for item in items(96 if options.full else 8, options.seed + 1)]
    report["robustness_rendered"] = robustness(iter(made))
    if (media / "manifest.json").exists():
        report["real"] = real(media, compare)
        if options.full:
            report["robustness_real"] = robustness(audio for _, audio in real_clips(media))
    if options.json:
        print(json.dumps(report, indent=1))
    else:
        for part, facts in report.items():
            print(part)
            for name, value in facts.items() if isinstance(facts, dict) else []:
                if name == "rows":
                    print(*(f"    {row}" for row in value), sep="\n")
                elif name == "changes":
                    print(*(f"    {change:16} {row}" for change, row in value.items()), sep="\n")
                elif not name.endswith("_of"):
                    print(f"    {name:24} {value}" + (f"  of {facts[name + '_of']}" if f"{name}_of" in facts else ""))


if __name__ == "__main__":
    main()
