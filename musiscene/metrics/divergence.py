"""Kullback-Leibler divergence between what a classifier hears in a generated clip and in its reference.

The definition is audiocraft's (Copet et al. 2023, MusicGen, section 4.1): a softmax over the 527 AudioSet classes,
though the classifier was trained with sigmoids, and a small number inside the logarithm of the generated side only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

EPSILON = 1e-6

Array = NDArray[np.float64]


def softmax(logits: Any) -> Array:
    """Class probabilities, `(n, classes)`."""
    return np.asarray(special.softmax(np.asarray(logits, np.float64), axis=-1), np.float64)


def kl_divergence(target: Any, generated: Any) -> Array:
    """KL(target || generated) of each pair of rows, in nats, `(n,)`.

    Σ t (ln t - ln(p + 1e-6)); classes with t = 0 add nothing. The small number is inside the logarithm of p only and
    nothing is normalised again, so equal one-hot rows give -1e-6 and not 0.

    Args:
        target: Class probabilities of the references, `(n, classes)`.
        generated: Those of the generated clips.
    """
    t, p = np.asarray(target, np.float64), np.asarray(generated, np.float64)
    terms = special.xlogy(t, t) - special.xlogy(t, p + EPSILON)
    return np.asarray(terms.sum(axis=-1), np.float64)
