"""Tensors on disk under the name of what they were computed from, so that nothing is computed twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from musiscene.media import atomic_path


def identity(tensors: Iterable[Tensor], values: int = 256) -> str:
    """Short name of these very weights, from values all over each tensor: all 13 GB need not be read."""
    total = hashlib.sha256()
    for tensor in tensors:
        flat = tensor.detach().reshape(-1)
        step = max(1, flat.numel() // values)
        total.update(str(tuple(tensor.shape)).encode())
        total.update(flat[::step].float().cpu().numpy().tobytes())
    return total.hexdigest()[:24]


class TensorStore:
    """One tensor per file, in folders by the first letters of its name; part of it also in main memory.

    Args:
        folder: Where the files are; None keeps everything in main memory.
        ram_bytes: So much is kept in main memory as well.
    """

    def __init__(self, folder: Path | None, ram_bytes: float = 0.0) -> None:
        self.folder = folder
        self._free = float("inf") if folder is None else ram_bytes
        self._ram: dict[str, Tensor] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._ram or (self.folder is not None and self._path(name).is_file())

    def get(self, name: str) -> Tensor | None:
        """The tensor called `name`, or None; a damaged file counts as absent."""
        if name in self._ram:
            return self._ram[name]
        if self.folder is None:
            return None
        path = self._path(name)
        try:
            tensor = load_file(path)["tensor"]
        except FileNotFoundError:
            return None
        except (SafetensorError, KeyError, OSError):
            path.unlink(missing_ok=True)
            return None
        self._remember(name, tensor)
        return tensor

    def put(self, name: str, tensor: Tensor) -> None:
        """Keep a tensor.

        Raises:
            StorageError: The disk refused.
        """
        tensor = tensor.detach().to("cpu", copy=True).contiguous()
        if self.folder is not None:
            with atomic_path(self._path(name)) as part:
                _save(tensor, part)
        self._remember(name, tensor)

    def _remember(self, name: str, tensor: Tensor) -> None:
        size = tensor.numel() * tensor.element_size()
        if size <= self._free:
            self._free -= size
            self._ram[name] = tensor

    def _path(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder / name[:2] / f"{name}.safetensors"


def _save(tensor: Tensor, path: Path) -> None:
    try:
        save_file({"tensor": tensor}, path)
    except SafetensorError as error:  # the library does not say which error of the system it was
        import shutil

        free = shutil.disk_usage(path.parent).free
        code = 28 if free < tensor.numel() * tensor.element_size() else 5
        raise OSError(code, "No space left on device" if code == 28 else str(error), str(path)) from error
