"""Picture and music together: do beats fall on cuts, and does the music's energy follow the picture's motion?

Definitions (also in docs/metrics.md):

- Rhythm-to-cut alignment: the share of cuts that lie within 80 ms of a beat. Many beats meet many cuts by chance: a
  cut that falls anywhere in the clip is met with the share of time that is within 80 ms of a beat. That is the chance
  level, and p is the probability that cuts placed so do at least as well. The tolerance lies within what viewers
  accept as in time (ITU-R BT.1359: sound 45 ms early to 125 ms late is not noticed) and close to the 70 ms of
  beat-tracking evaluations (Davies, Degara & Plumbley 2009).
- Energy-to-motion correlation: Spearman's rank correlation of the music's level in dB and the picture's motion, both
  in steps of 0.5 s. p is the share of turns of one of them round the clip that do at least as well: neighbouring steps
  are alike, so the usual p-value of a correlation would be far too small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from musiscene.metrics.intervals import Scored, as_means, finite, ratio, score

TOLERANCE_S = 0.08
STEP_S = 0.5
_FLOOR_DB = -60.0
_FEWEST_STEPS = 8

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Alignment:
    """How cuts and beats of one clip meet.

    Attributes:
        hits: Cuts within the tolerance of a beat.
        cuts: All cuts.
        chance: Share of cuts that would be met by chance.
        p: Probability that chance does at least as well.
    """

    hits: int
    cuts: int
    chance: float
    p: float

    @property
    def share(self) -> float:
        """Share of cuts on a beat."""
        return self.hits / self.cuts

    def as_dict(self) -> dict[str, Any]:
        """JSON layout."""
        return {"share": self.share, "chance": self.chance, "p": self.p, "hits": self.hits, "cuts": self.cuts}


def cut_alignment(
    cuts_s: Sequence[float], beats_s: Sequence[float], duration_s: float, tolerance_s: float = TOLERANCE_S
) -> Alignment | None:
    """How many cuts lie on a beat, against chance; None without cuts or beats.

    Args:
        cuts_s: Times of the picture's cuts, in seconds.
        beats_s: Times of the music's beats, in seconds, on the same clock.
        duration_s: Length of both, in seconds.
        tolerance_s: How far a cut may be from a beat.
    """
    cuts = np.array([cut for cut in cuts_s if 0 < cut < duration_s], np.float64)
    beats = np.sort(np.array([beat for beat in beats_s if 0 <= beat <= duration_s], np.float64))
    if not cuts.size or not beats.size or duration_s <= 0:
        return None
    hits = int((np.abs(cuts[:, None] - beats[None, :]).min(axis=1) <= tolerance_s + 1e-9).sum())
    starts = np.maximum(beats - tolerance_s, 0.0)
    ends = np.minimum(beats + tolerance_s, duration_s)
    covered = np.maximum(0.0, ends - np.maximum(starts, np.concatenate([[0.0], ends[:-1]]))).sum()
    chance = float(covered / duration_s)
    return Alignment(hits, cuts.size, chance, float(stats.binom.sf(hits - 1, cuts.size, chance)))


@dataclass(frozen=True, slots=True)
class Pooled:
    """Alignment over many clips: every cut counts alike.

    Attributes:
        share: Of all cuts, with its interval over clips.
        chance: Share that would be met by chance.
        p: Probability that chance does at least as well over all clips.
        clips: Clips with cuts and beats.
        cuts: Their cuts.
    """

    share: Scored
    chance: float
    p: float
    clips: int
    cuts: int

    def as_dict(self) -> dict[str, Any]:
        """JSON layout."""
        return {**self.share.as_dict(), "chance": finite(self.chance), "p": finite(self.p), "clips": self.clips,
                "cuts": self.cuts}  # fmt: skip


def pool_alignments(found: Sequence[Alignment], *, seed: int = 0) -> Pooled | None:
    """Alignment over all clips; None when there are none. p is exact: hits of all clips are added as chances."""
    if not found:
        return None
    rows = np.array([(a.hits, a.cuts) for a in found], np.float64)
    by_chance = np.ones(1)
    for a in found:
        by_chance = np.convolve(by_chance, stats.binom.pmf(np.arange(a.cuts + 1), a.cuts, a.chance))
    hits, cuts = rows.sum(axis=0)
    chance = float(sum(a.chance * a.cuts for a in found) / cuts)
    p = min(1.0, float(by_chance[int(hits) :].sum()))
    return Pooled(score(rows, ratio, seed=seed), chance, p, len(found), int(cuts))


@dataclass(frozen=True, slots=True)
class Correlation:
    """How the music's energy follows the picture's motion in one clip.

    Attributes:
        rho: Spearman's correlation, -1 to 1.
        p: How often a turn of one curve does at least as well.
        steps: Steps of 0.5 s that were compared.
    """

    rho: float
    p: float
    steps: int

    def as_dict(self) -> dict[str, Any]:
        """JSON layout."""
        return {"rho": self.rho, "p": self.p, "steps": self.steps}


def energy_motion_correlation(
    energy: Sequence[float], motion: Sequence[float], duration_s: float
) -> Correlation | None:
    """Rank correlation of two curves over one clip; None when one does not move, or under 4 s.

    Args:
        energy: The music's level (see `level_curve`), evenly spaced over the clip.
        motion: The picture's motion, evenly spaced over the clip.
        duration_s: Its length, in seconds.
    """
    steps = int(duration_s / STEP_S)
    if steps < _FEWEST_STEPS or len(energy) < 2 or len(motion) < 2:
        return None
    a, b = (stats.rankdata(_spread(curve, steps)) for curve in (energy, motion))
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    a, b = (a - a.mean()) / a.std(), (b - b.mean()) / b.std()
    turned = np.array([float(np.roll(a, turn) @ b) / steps for turn in range(steps)])
    p = float((turned >= turned[0] - 1e-12).sum() / steps)
    return Correlation(float(turned[0]), p, steps)


def pool_correlations(found: Sequence[Correlation], *, seed: int = 0) -> Scored | None:
    """Mean correlation over clips with its interval; None when there are none."""
    return score(as_means([c.rho for c in found]), seed=seed) if found else None


def level_curve(mono: NDArray[np.float32], sample_rate: int) -> Array:
    """Level of each 0.5 s in dB below the loudest, at least -60.

    Args:
        mono: `(samples,)`.
        sample_rate: In Hz.
    """
    step = round(STEP_S * sample_rate)
    count = max(1, mono.size // step)
    parts = mono[: count * step] if mono.size >= step else mono
    power = np.square(parts.reshape(count, -1), dtype=np.float64).mean(axis=1) if mono.size else np.zeros(1)
    loudest = float(power.max())
    if loudest <= 0:
        return np.full(count, _FLOOR_DB)
    return np.asarray(np.maximum(10 * np.log10(np.maximum(power / loudest, 1e-12)), _FLOOR_DB), np.float64)


def _spread(curve: Sequence[float], steps: int) -> Array:
    """A curve's means over `steps` equal parts of its length."""
    values = np.asarray(curve, np.float64)
    edges = np.linspace(0, values.size, steps + 1)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(np.diff(np.interp(edges, np.arange(values.size + 1), sums)) / np.diff(edges), np.float64)
