"""Opening published weight files: pickled checkpoints and safetensors, whole or in shards, without reading them.

Tensors are mapped from the file and paged in when they are used, so a 17 GB checkpoint costs almost nothing to open.
A pickle is only ever read by torch's restricted unpickler: a file cannot run code.
"""

from __future__ import annotations

import argparse
import json
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from musiscene.errors import BackendUnavailableError

PICKLED = frozenset({".pth", ".pt", ".bin", ".ckpt"})
_NAMES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor of a file.

    Attributes:
        shape: Its shape.
        file: The file that it lies in.
        read: Gives the tensor, mapped from the file.
    """

    shape: tuple[int, ...]
    file: Path
    read: Callable[[], Tensor]


class TensorFiles(Mapping[str, Tensor]):
    """The tensors of one or several files by name; each is read when it is asked for."""

    def __init__(self, path: Path, entries: Mapping[str, Entry]) -> None:
        self.path = path
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> Tensor:
        return self._entries[name].read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor, without reading any."""
        return {name: entry.shape for name, entry in self._entries.items()}

    def renamed(self, rename: Callable[[str], str | None]) -> TensorFiles:
        """The same tensors under other names; those for which `rename` gives None are left out.

        Raises:
            BackendUnavailableError: Two tensors get one name.
        """
        entries: dict[str, Entry] = {}
        for old, entry in self._entries.items():
            new = rename(old)
            if new is None:
                continue
            if new in entries:
                raise BackendUnavailableError(f"{self.path} holds {new!r} twice, once under the name {old!r}.")
            entries[new] = entry
        return TensorFiles(self.path, entries)


def open_tensors(path: Path, *, within: str = "", axis: Callable[[str], int | None] | None = None) -> TensorFiles:
    """Open a weight file, or a folder of one or more of them.

    In a folder an index (`*.index.json`) is followed when there is one; else all safetensors files, else all pickled
    ones are taken together.

    Args:
        path: The file or folder.
        within: Name of the entry of a pickled dict that holds the weights, if it may be wrapped in one ("model").
        axis: For model-parallel parts, which all hold every name: the axis along which a tensor's parts lie one behind
            the other, in the order of the file names; None for one that is the same in each.

    Raises:
        BackendUnavailableError: Nothing there, damaged, or not a weight file; the message names the file.
    """
    files = _weight_files(path)
    entries: dict[str, Entry] = {}
    parts: list[dict[str, Entry]] = []
    for file in files:
        opened = _open_pickled(file, within) if file.suffix in PICKLED else _open_safetensors(file)
        if axis and parts and opened.keys() == parts[0].keys():
            parts.append(opened)
            continue
        parts = parts or [opened]
        both = entries.keys() & opened.keys()
        if both:
            raise BackendUnavailableError(
                f"{file} and another file of {path} both hold {min(both)!r}: model-parallel parts cannot be put "
                "together here. Use a checkpoint in one part, or the one in Hugging Face's layout."
            )
        entries.update(opened)
    if axis and len(parts) > 1:
        entries |= {name: _joined([part[name] for part in parts], axis(name)) for name in parts[0]}
    return TensorFiles(path, entries)


def _joined(parts: list[Entry], axis: int | None) -> Entry:
    """One tensor of its model-parallel parts."""
    first = parts[0]
    if axis is None or axis >= len(first.shape):
        return first
    length = sum(part.shape[axis] for part in parts)
    shape = (*first.shape[:axis], length, *first.shape[axis + 1 :])
    return Entry(shape, first.file, lambda: torch.cat([part.read() for part in parts], dim=axis))


def check_names(path: Path, found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]) -> None:
    """Compare names and shapes with a published table.

    Raises:
        BackendUnavailableError: They differ; the message lists what is missing, unexpected or of another shape.
    """
    problems = []
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    odd = [f"{n} is {found[n]}, not {expected[n]}" for n in expected if n in found and found[n] != expected[n]]
    if missing:
        problems.append(f"{len(missing)} missing ({_some(missing)})")
    if unexpected:
        problems.append(f"{len(unexpected)} unexpected ({_some(unexpected)})")
    if odd:
        problems.append(f"{len(odd)} of another shape ({_some(odd)})")
    if problems:
        raise BackendUnavailableError(f"{path} does not hold the weights that belong there: {'; '.join(problems)}.")


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    rest = len(listed) - _NAMES_SHOWN
    return ", ".join(listed[:_NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _weight_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise BackendUnavailableError(f"There is no file or folder {path}.")
    indexes = sorted(path.glob("*.safetensors.index.json")) or sorted(path.glob("*.bin.index.json"))
    if indexes:
        try:
            parts = set(json.loads(indexes[0].read_text(encoding="utf-8"))["weight_map"].values())
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise BackendUnavailableError(f"{indexes[0]} is not a readable index of weight files.") from error
        files = [path / Path(part).name for part in sorted(parts)]
        absent = [file.name for file in files if not file.is_file()]
        if absent:
            raise BackendUnavailableError(f"{path} is incomplete: {_some(absent)} listed in its index, not there.")
        return files
    files = sorted(path.glob("*.safetensors"))
    if not files:
        files = sorted(f for f in path.iterdir() if f.suffix in PICKLED and f.is_file())
    if not files:
        raise BackendUnavailableError(f"{path} holds no weight file (*.safetensors, *.bin, *.pth).")
    return files


def _open_safetensors(file: Path) -> dict[str, Entry]:
    try:
        handle: Any = safe_open(str(file), framework="pt")
        entries = {}
        for name in handle.keys():  # noqa: SIM118  (the handle is no mapping)

            def read(name: str = name) -> Tensor:
                tensor: Tensor = handle.get_tensor(name)
                return tensor

            entries[name] = Entry(tuple(handle.get_slice(name).get_shape()), file, read)
    except (SafetensorError, OSError, ValueError) as error:
        raise BackendUnavailableError(f"{file} is damaged or not a safetensors file: {error}.") from error
    return entries


def _open_pickled(file: Path, within: str) -> dict[str, Entry]:
    content = _unpickle(file)
    if within and isinstance(content, dict) and isinstance(content.get(within), dict):
        content = content[within]
    if not isinstance(content, dict) or not content:
        raise BackendUnavailableError(f"{file} holds no dictionary of tensors.")
    entries = {}
    for name, tensor in content.items():
        if not isinstance(tensor, Tensor):
            raise BackendUnavailableError(f"{file} holds {type(tensor).__name__} under {name!r} instead of a tensor.")

        def read(tensor: Tensor = tensor) -> Tensor:
            return tensor.detach()

        entries[str(name)] = Entry(tuple(tensor.shape), file, read)
    return entries


def _unpickle(file: Path) -> Any:
    # Training scripts store their argparse.Namespace beside the weights; nothing else is let through.
    with torch.serialization.safe_globals([argparse.Namespace]):
        try:
            try:
                return torch.load(file, map_location="cpu", weights_only=True, mmap=True)
            except RuntimeError as error:
                if "mmap can only be used" not in str(error):
                    raise
                return torch.load(file, map_location="cpu", weights_only=True)  # torch's format before 2020
        except pickle.UnpicklingError as error:
            raise BackendUnavailableError(
                f"{file} was refused: it is damaged, or it holds more than tensors and options. "
                "A pickle that needs other classes could run code, so it is not read."
            ) from error
        except (RuntimeError, OSError, EOFError, ValueError, KeyError, AttributeError) as error:
            raise BackendUnavailableError(f"{file} is damaged or not a PyTorch checkpoint.") from error
