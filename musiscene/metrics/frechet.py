"""The Fréchet distance between two sets of embeddings, and their mean and covariance in one pass.

d² = |m₁ - m₂|² + tr S₁ + tr S₂ - 2 tr (S₁ S₂)^½ (Dowson & Landau 1982). It is the squared distance, as every paper
that reports a Fréchet audio distance does (Kilgour et al. 2019).
"""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from musiscene.errors import RequestError
from musiscene.media import atomic_path

Array = NDArray[np.float64]


@dataclass(slots=True)
class Gaussian:
    """Count, mean and scatter of vectors that are added batch by batch; its size does not depend on their number.

    Attributes:
        dimensions: Length of a vector.
        n: How many were added.
        mean: `(dimensions,)`.
        scatter: `(dimensions, dimensions)`: sum of the outer products of what differs from the mean.
    """

    dimensions: int
    n: int = 0
    mean: Array = field(default_factory=lambda: np.zeros(0))
    scatter: Array = field(default_factory=lambda: np.zeros((0, 0)))

    def __post_init__(self) -> None:
        if not self.mean.size:
            self.mean = np.zeros(self.dimensions)
            self.scatter = np.zeros((self.dimensions, self.dimensions))

    def add(self, vectors: Any) -> None:
        """Take `(k, dimensions)` vectors in."""
        batch = np.asarray(vectors, np.float64)
        if not len(batch):
            return
        mean = batch.mean(axis=0)
        centred = batch - mean
        self._merge(len(batch), mean, centred.T @ centred)

    def merge(self, other: Gaussian) -> None:
        """Take in all that `other` has seen (Chan, Golub & LeVeque 1979)."""
        if other.n:
            self._merge(other.n, other.mean, other.scatter)

    def _merge(self, n: int, mean: Array, scatter: Array) -> None:
        total = self.n + n
        step = mean - self.mean
        self.scatter = self.scatter + scatter + np.outer(step, step) * (self.n * n / total)
        self.mean = self.mean + step * (n / total)
        self.n = total

    @property
    def covariance(self) -> Array:
        """With the divisor n - 1; zero for a single vector."""
        return np.asarray(self.scatter / max(1, self.n - 1), np.float64)


def frechet_distance(first: Gaussian, second: Gaussian) -> float:
    """Squared Fréchet distance between two Gaussians.

    The trace of the root comes from two symmetric eigenproblems: with R the root of S₁, the roots of the eigenvalues
    of R S₂ R are summed. So nothing turns complex and no small number is added, and covariances without full rank
    are as good as others.
    """
    step = first.mean - second.mean
    a, b = first.covariance, second.covariance
    values, vectors = np.linalg.eigh(a)
    root = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
    product = root @ b @ root
    roots = np.sqrt(np.clip(np.linalg.eigvalsh((product + product.T) / 2), 0.0, None))
    distance = float(step @ step + np.trace(a) + np.trace(b) - 2 * roots.sum())
    return max(0.0, distance)  # of equal sets the eigenvalues leave about -1e-6


def frechet_distance_of_sets(first: Any, second: Any) -> float:
    """The same from two sets of vectors, `(n, dimensions)` each, by singular values.

    With centred sets scaled by 1 / sqrt(n - 1), tr (S₁ S₂)^½ is the sum of the singular values of X Yᵀ: no
    covariance, no root of one, and the most digits. For sets of up to a few thousand.
    """
    x, y = np.asarray(first, np.float64), np.asarray(second, np.float64)
    step = x.mean(axis=0) - y.mean(axis=0)
    x = (x - x.mean(axis=0)) / np.sqrt(max(1, len(x) - 1))
    y = (y - y.mean(axis=0)) / np.sqrt(max(1, len(y) - 1))
    roots = np.linalg.svd(x @ y.T, compute_uv=False)
    return max(0.0, float(step @ step + (x * x).sum() + (y * y).sum() - 2 * roots.sum()))


def save_statistics(path: Path, gaussian: Gaussian, facts: dict[str, Any]) -> Path:
    """Write mean, covariance and n to a .npz file, to be used as a fixed background.

    Args:
        path: Where; the ending .npz is part of it.
        gaussian: What was measured.
        facts: How: recipe, checkpoint, number of clips; JSON-ready.
    """
    with atomic_path(path) as part, part.open("wb") as file:
        np.savez(file, mean=gaussian.mean, covariance=gaussian.covariance, n=gaussian.n, facts=json.dumps(facts))
    return path


def load_statistics(path: Path) -> tuple[Gaussian, dict[str, Any]]:
    """Mean, covariance and n from a file that `save_statistics` wrote, and how they were measured.

    Raises:
        RequestError: It is not there, or not such a file.
    """
    if not path.is_file():
        raise RequestError(f"There is no file {path}.")
    try:
        with np.load(path, allow_pickle=False) as file:
            mean, covariance, n = np.asarray(file["mean"]), np.asarray(file["covariance"]), int(file["n"])
            facts = json.loads(str(file["facts"])) if "facts" in file else {}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RequestError(
            f"{path} holds no statistics. It is to be a .npz file with mean, covariance and n, "
            "as `musiscene evaluate music --save-background` writes it."
        ) from error
    if mean.ndim != 1 or covariance.shape != (mean.size, mean.size) or n < 1:
        raise RequestError(f"{path} holds a mean of {mean.shape} and a covariance of {covariance.shape}: they differ.")
    return Gaussian(mean.size, n, mean.astype(np.float64), covariance.astype(np.float64) * max(1, n - 1)), facts


class Groups:
    """Vectors of many clips in a fixed number of Gaussians, for a distance with an interval.

    Clips are spread over the groups by their name, so that a clip and its reference fall into the same one and the
    order in which they come does not matter.
    """

    def __init__(self, dimensions: int, groups: int = 20) -> None:
        self._groups = [Gaussian(dimensions) for _ in range(groups)]
        self.clips = 0

    def __len__(self) -> int:
        return len(self._groups)

    def add(self, name: str, vectors: Any) -> None:
        """Take in the vectors `(n, dimensions)` of the clip called `name`."""
        self._groups[zlib.crc32(name.encode()) % len(self._groups)].add(vectors)
        self.clips += 1

    def total(self, without: int | None = None) -> Gaussian:
        """All of it, or all but one group."""
        whole = Gaussian(self._groups[0].dimensions)
        for index, group in enumerate(self._groups):
            if index != without:
                whole.merge(group)
        return whole

    def filled(self) -> list[int]:
        """Groups that hold something."""
        return [index for index, group in enumerate(self._groups) if group.n]


@dataclass(frozen=True, slots=True)
class Distance:
    """A squared Fréchet distance with its interval.

    Attributes:
        value: The distance.
        low: Lower end of the 95 % interval; nan with too few clips.
        high: Upper end.
        n: Vectors of the generated set.
        n_reference: Vectors of the reference set.
    """

    value: float
    low: float
    high: float
    n: int
    n_reference: int


def distance_between(generated: Groups, reference: Groups | Gaussian) -> Distance:
    """The distance and its interval by a jackknife that leaves out a group of clips at a time (Kott 2001).

    The interval tells how much the value depends on which clips there are. It does not remove the bias of few windows,
    which makes every such distance too large; compare systems at the same n only.
    """
    target = reference if isinstance(reference, Gaussian) else reference.total()
    whole = generated.total()
    value = frechet_distance(whole, target)
    filled = generated.filled()
    g = len(filled)
    if g < 5:
        return Distance(value, float("nan"), float("nan"), whole.n, target.n)
    left_out = np.array(
        [
            frechet_distance(
                generated.total(without=k), target if isinstance(reference, Gaussian) else reference.total(without=k)
            )
            for k in filled
        ]
    )
    error = float(np.sqrt((g - 1) / g * np.square(left_out - left_out.mean()).sum()))
    reach = float(stats.t.ppf(0.975, g - 1)) * error
    return Distance(value, max(0.0, value - reach), value + reach, whole.n, target.n)
