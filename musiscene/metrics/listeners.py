"""The networks as listeners: each makes inputs from a clip, and vectors from inputs, in batches over many clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from musiscene.metrics import clap as claps
from musiscene.metrics import fad
from musiscene.metrics.clap import Clap
from musiscene.metrics.sound_files import Mono
from musiscene.networks import passt as passts
from musiscene.networks import vggish as vggishes
from musiscene.networks.passt import Passt
from musiscene.networks.vggish import Vggish

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a listener is fed for one clip.

    Attributes:
        parts: One array for each window or segment.
        why_none: Why there is none, as the end of "the clip …".
    """

    parts: Sequence[NDArray[np.float32]]
    why_none: str = ""


class Listener(Protocol):
    """Hears clips.

    `name` is that of its results, `identity` tells its weights and settings from others (for stored results),
    `width` is the length of its vectors and `batch` the number of parts that are heard at once.
    """

    @property
    def name(self) -> str:
        """Name of its results."""
        ...

    @property
    def identity(self) -> str:
        """What its results depend on besides the clip."""
        ...

    @property
    def width(self) -> int:
        """Length of a vector."""
        ...

    @property
    def batch(self) -> int:
        """Parts that are heard at once."""
        ...

    def prepare(self, mono: Mono) -> Inputs:
        """The parts of a clip; runs beside the network, in another thread."""
        ...

    def hear(self, parts: Sequence[NDArray[np.float32]], check: Callable[[], None]) -> Vectors:
        """Vectors `(len(parts), width)` of parts of one shape; `check` may raise to stop."""
        ...


def _batch(device: str, on_gpu: int, on_cpu: int) -> int:
    return on_cpu if device == "cpu" else on_gpu


@dataclass(frozen=True, slots=True)
class VggishListener:
    """VGGish by one of the FAD recipes."""

    vggish: Vggish
    recipe: fad.Recipe
    name: str = "fad"
    width: int = vggishes.EMBEDDING

    @property
    def identity(self) -> str:
        """Recipe (without the ReLU, which is applied afterwards) and weights."""
        return f"vggish|{self.recipe.overlapping}|{self.recipe.levelled}|{identity(self.vggish.source)}"

    @property
    def batch(self) -> int:
        """Windows at once: the dense layers' weights, 270 MB, come from memory once for all of them."""
        return _batch(self.vggish.device, 512, 160)

    def prepare(self, mono: Mono) -> Inputs:
        """Log-mel windows."""
        windows, why_none = fad.examples(mono.at(vggishes.SAMPLE_RATE), self.recipe)
        return Inputs(list(windows), why_none)

    def hear(self, parts: Sequence[NDArray[np.float32]], check: Callable[[], None]) -> Vectors:
        """Embeddings before any ReLU."""
        return self.vggish.embed(np.stack(parts), check)


@dataclass(frozen=True, slots=True)
class PasstListener:
    """PaSST's logits of the segments of a clip."""

    passt: Passt
    name: str = "kl"
    width: int = passts.CLASSES

    @property
    def identity(self) -> str:
        """Weights."""
        return f"passt|{self.passt.input_s}|{identity(self.passt.source)}"

    @property
    def batch(self) -> int:
        """Segments at once."""
        return _batch(self.passt.device, 16, 1)

    def prepare(self, mono: Mono) -> Inputs:
        """Segments of the model's length, the last one shorter."""
        samples = mono.at(passts.SAMPLE_RATE)
        parts = [samples[start:end] for start, end in passts.segments(samples.size, self.passt.input_s)]
        return Inputs(parts, "" if parts else f"is {mono.duration_s:.2f} s long, too short to be classified")

    def hear(self, parts: Sequence[NDArray[np.float32]], check: Callable[[], None]) -> Vectors:
        """Logits."""
        return self.passt.logits(np.stack(parts), check)


@dataclass(frozen=True, slots=True)
class ClapListener:
    """CLAP's embeddings of the windows of a clip."""

    clap: Clap
    name: str = "clap"

    @property
    def width(self) -> int:
        """Length of an embedding."""
        return int(self.clap.network.config.projection_dim)

    @property
    def identity(self) -> str:
        """Weights."""
        return f"clap|{identity(self.clap.source)}"

    @property
    def batch(self) -> int:
        """Windows at once."""
        return _batch(self.clap.device, 64, 2)

    def prepare(self, mono: Mono) -> Inputs:
        """Windows of 10 s."""
        return Inputs(claps.windows(mono.at(claps.SAMPLE_RATE)))

    def hear(self, parts: Sequence[NDArray[np.float32]], check: Callable[[], None]) -> Vectors:
        """Embeddings."""
        check()
        return self.clap.embed_windows(parts)


def identity(source: str) -> str:
    """What tells one weight file from another: name, size and time of what lies at `source`."""
    from pathlib import Path

    path = Path(source)
    if not source or not path.exists():
        return source
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    facts: list[Any] = [path.name]
    for file in files:
        stat = file.stat()
        facts.append((file.name, stat.st_size, stat.st_mtime_ns))
    return repr(facts)
