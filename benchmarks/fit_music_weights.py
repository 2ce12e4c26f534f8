"""Fits the two small models of the sketch listener on rendered music and prints their weights.

    python benchmarks/fit_music_weights.py --items 432 --seed 1

`pulse.py` chooses among candidate tempi, `key.py` among 24 keys: both by a weighted sum of evidence, that is, by a
multinomial logistic model. It is fitted by penalised maximum likelihood; items at a tempo that is unusual for their
style count a third. Measure with other seeds (benchmarks/captions_music.py) than those fitted on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from rendered_music import NATURAL_TEMPI, SAMPLE_RATE, items, render
from scipy.optimize import minimize

from musiscene.captions._music import key as keys
from musiscene.captions._music import pulse
from musiscene.captions._music.onsets import find_onsets
from musiscene.captions._music.pitch import find_pitches
from musiscene.captions._music.signal import band_spectrogram, decibels_below_loud, to_analysis
from musiscene.types import Job

Case = tuple[np.ndarray, np.ndarray, float]
"""Features `(candidates, features)`, which candidates are right `(candidates,)`, and how much the case counts."""


def fit(cases: Sequence[Case], penalty: float) -> np.ndarray:
    """Weights of the features, in their own units."""
    scale = np.concatenate([features for features, _, _ in cases]).std(axis=0) + 1e-9

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        total, slope = 0.0, np.zeros_like(weights)
        for features, right, count in cases:
            if not right.any():
                continue
            scores = features / scale @ weights
            likely = np.exp(scores - scores.max())
            likely /= likely.sum()
            given = likely * right / (likely * right).sum()
            total -= count * float(np.log((likely * right).sum()))
            slope += count * ((likely - given) @ (features / scale))
        return total / len(cases) + penalty * weights @ weights, slope / len(cases) + 2 * penalty * weights

    start = np.zeros(cases[0][0].shape[1])
    return minimize(loss, start, jac=True, method="L-BFGS-B").x / scale


def accuracy(cases: Sequence[Case], weights: np.ndarray) -> float:
    """Share of cases whose best-scoring candidate is right."""
    return float(np.mean([right[np.argmax(features @ weights)] for features, right, _ in cases]))


def main() -> None:
    """Render, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=432)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    tempo_cases: list[Case] = []
    key_cases: list[Case] = []
    names = list(keys._WEIGHTS)
    for item in items(options.items, options.seed, options.seconds):
        samples = to_analysis(render(item), SAMPLE_RATE)
        onsets = find_onsets(decibels_below_loud(band_spectrogram(samples, Job())))
        tempi, features, _ = pulse.candidates(onsets, Job())
        low, high = NATURAL_TEMPI[item.style]
        natural = low <= item.tempo_bpm <= high
        tempo_cases.append((features, np.abs(tempi / item.tempo_bpm - 1) < 0.04, 1.0 if natural else 0.35))
        if item.key:
            pitches = find_pitches(samples, Job())
            evidence, _ = keys.key_evidence(pitches, pitches.chroma.sum(axis=1))
            right = np.arange(24) == item.tonic + 12 * (item.mode == "minor")
            key_cases.append((np.stack([evidence[name] for name in names], axis=1), right, 1.0))
    weights = fit(tempo_cases, 0.03)
    print("tempo, on what was fitted:", round(accuracy(tempo_cases, weights), 3))
    for row in np.split(weights, [11, 22]):
        print("  ", tuple(round(float(weight), 3) for weight in row))
    weights = fit(key_cases, 0.01)
    print("key, on what was fitted:", round(accuracy(key_cases, weights), 3))
    print("  ", {name: round(float(weight), 2) for name, weight in zip(names, weights, strict=True)})


if __name__ == "__main__":
    main()
