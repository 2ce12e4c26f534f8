"""CUDA without CUDA: what tensors would be made where, of which type, and by how many kernels."""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

_CUDA, _META = 1, 14
"""Places of the devices in PyTorch's table of guards."""


@contextmanager
def cuda_on_paper() -> Iterator[None]:
    """Within, tensors have shape, type and device only, and "cuda" is a device that can be named.

    Mixing devices or types raises as it would there, and so does reading a value back, which would make the host wait.
    """
    with _guard(), FakeTensorMode(), torch.no_grad():
        yield


@contextmanager
def _guard() -> Iterator[None]:
    """A build without CUDA has nobody to ask which of its devices is current; the device without data answers."""
    if torch.cuda.is_available():
        yield
        return
    library = ctypes.CDLL(str(next((Path(torch.__file__).parent / "lib").glob("libc10.[sd]*"))))
    table = (ctypes.c_void_p * 20).in_dll(library, "_ZN3c104impl26device_guard_impl_registryE")
    before = table[_CUDA]
    if before is None:
        table[_CUDA] = table[_META]
    try:
        yield
    finally:
        table[_CUDA] = before


class Kernels(TorchDispatchMode):
    """Counts the operations that would launch a kernel: all but views and questions."""

    def __init__(self) -> None:
        super().__init__()
        self.by_name: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """Of all names."""
        return self.by_name.total()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run it and count it."""
        schema = func._schema
        changed_in_place = any(r.alias_info is not None and r.alias_info.is_write for r in schema.returns)
        a_view = not changed_in_place and any(r.alias_info is not None for r in schema.returns)
        if not a_view and not schema.name.startswith("prim::") and schema.name != "aten::empty":
            self.by_name[schema.name.removeprefix("aten::")] += 1
        return func(*args, **(kwargs or {}))


def on_cuda(module: torch.nn.Module, dtype: torch.dtype) -> torch.nn.Module:
    """`module`, within `cuda_on_paper`, with its tensors on CUDA and its numbers in `dtype`."""
    for part in module.modules():
        for tensors in (part._parameters, part._buffers):
            for name, tensor in tensors.items():
                if tensor is not None:
                    kind = dtype if tensor.is_floating_point() else tensor.dtype
                    there = torch.empty(tensor.shape, dtype=kind, device="cuda")
                    tensors[name] = torch.nn.Parameter(there, False) if tensors is part._parameters else there
    return module
