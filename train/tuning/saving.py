"""Checkpoints: trained weights, AdamW's state and the place in the run; a folder that is there is complete."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from musiscene.errors import StorageError
from musiscene.networks.mu_llama.convert import save_published
from train.failures import TrainingError

_STATE = "state.json"
_WEIGHTS, _OPTIMISER = "trained.safetensors", "optimiser.safetensors"


@dataclass
class Place:
    """Where a run is.

    Attributes:
        step: Optimiser steps done.
        epoch: Epochs done.
        batch: Batches of the present epoch done.
        best: Best validation value so far; None before the first.
        best_epoch: When that was.
        validated: Validation values by epoch.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    best: float | None = None
    best_epoch: int = -1
    validated: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds: weights and AdamW's state by parameter name, and the place."""

    weights: dict[str, Tensor]
    optimiser: dict[str, dict[str, Tensor]]
    place: Place


def write_weights(weights: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors by name beside the checkpoints; the file appears whole.

    Raises:
        StorageError: The disk refused; the message says what to do.
    """
    try:
        save_published(weights, path)
    except StorageError as error:
        raise StorageError(f"{error} Make room and run again: the last checkpoint is intact.") from error


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: Holds one folder for each.
        keep: The newest so many stay.
        experiment: What the run is; a checkpoint of another experiment is refused.
    """

    def __init__(self, folder: Path, keep: int, experiment: Mapping[str, Any]) -> None:
        self.folder, self.keep, self.experiment = folder, keep, json.loads(json.dumps(dict(experiment)))

    def save(self, weights: Mapping[str, Tensor], optimiser: Mapping[str, Mapping[str, Tensor]], place: Place) -> Path:
        """Write a checkpoint beside the others and let it appear whole; older ones go after that.

        Raises:
            StorageError: The disk refused; the checkpoints that were there still are.
        """
        final = self.folder / f"step-{place.step:08d}-{place.epoch:04d}"
        part = self.folder / f".{final.name}.part"
        try:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            save_published(weights, part / _WEIGHTS)
            save_published(
                {f"{n}/{k}": v for n, states in optimiser.items() for k, v in states.items()}, part / _OPTIMISER
            )
            document = {"place": asdict(place), "experiment": self.experiment}
            (part / _STATE).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
            shutil.rmtree(final, ignore_errors=True)
            part.rename(final)
        except (OSError, StorageError) as error:
            shutil.rmtree(part, ignore_errors=True)
            reason = error.strerror if isinstance(error, OSError) else str(error).rpartition(": ")[2].rstrip(".")
            kept = self._all()
            left = f"{kept[-1].name} is intact" if kept else "there is none yet"
            raise StorageError(
                f"The checkpoint of step {place.step} could not be written to {self.folder} ({reason}). Make room and "
                f"run again: the last checkpoint, {left}."
            ) from error
        for old in self._all()[: -self.keep]:
            shutil.rmtree(old, ignore_errors=True)
        return final

    def load(self) -> Saved | None:
        """The newest checkpoint, or None when there is none.

        Raises:
            TrainingError: It belongs to another experiment, or is damaged.
        """
        there = self._all()
        if not there:
            return None
        newest = there[-1]
        try:
            document = json.loads((newest / _STATE).read_text(encoding="utf-8"))
            weights = load_file(newest / _WEIGHTS)
            flat = load_file(newest / _OPTIMISER)
            place = Place(**document["place"])
        except Exception as error:  # a damaged file can fail in many ways
            raise TrainingError(f"{newest} is damaged. Remove that folder to go on from the one before it.") from error
        changed = _difference(document["experiment"], self.experiment)
        if changed:
            raise TrainingError(
                f"{self.folder.parent} holds a run with another {changed}. Choose another folder in `out`, or put the "
                "setting back to go on."
            )
        optimiser: dict[str, dict[str, Tensor]] = {}
        for name, tensor in flat.items():
            parameter, _, key = name.rpartition("/")
            optimiser.setdefault(parameter, {})[key] = tensor
        return Saved(weights, optimiser, place)

    def _all(self) -> list[Path]:
        """Complete checkpoints, oldest first."""
        return sorted(path for path in self.folder.glob("step-*") if (path / _STATE).is_file())


class Background:
    """Writes what is saved while the training goes on; one at a time, the last one waited for.

    What is written must be the writer's own: nobody may change it any more.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "saving")
        self._last: Future[None] | None = None

    def wait(self) -> None:
        """Until what was begun is on the disk.

        Raises:
            StorageError: It is not; told once.
        """
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def begin(self, write: Callable[[], None]) -> None:
        """Call `write` in another thread, when the one before it has ended.

        Raises:
            StorageError: The one before it failed; `write` is not called.
        """
        self.wait()
        self._last = self._thread.submit(write)

    def close(self) -> None:
        """As `wait`; nothing can be begun afterwards."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()


def _difference(old: Mapping[str, Any], new: Mapping[str, Any], where: str = "") -> str:
    """Name of the first setting that differs; empty when none does."""
    for name in sorted(old.keys() | new.keys()):
        one, other = old.get(name), new.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            inner = _difference(one, other, f"{where}{name}.")
            if inner:
                return inner
        elif one != other:
            return f"{where}{name}"
    return ""
