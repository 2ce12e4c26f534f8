"""Import gradio in half the time: without the stub files that it writes for editors, and without `mcp`.

At every import, gradio parses the source of each of its components and renders its events into a `.pyi` file beside it,
to be found up to date (a third of its import time, measured by benchmarks/page.py). Nothing reads these files while a
page is served, and on an installation that cannot be written gradio goes on without them; so they are left out here.
Where `mcp` is installed, gradio imports it for a server that we do not start (ours, in tools.py, imports it when the
first program asks), and goes on where it is not found; for that time it is not.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from types import ModuleType

_STUB_WRITER = "gradio.component_meta"


class _WithoutStubs(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """As the loader of the file does it."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, and take the one function out of it."""
        self._loader.exec_module(module)
        if hasattr(module, "create_or_modify_pyi"):
            module.create_or_modify_pyi = lambda *_: None  # type: ignore[attr-defined]


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Only that one module is found here, and `mcp` is not; all others are found as always."""
        if name == "mcp":
            raise ModuleNotFoundError("gradio is imported without it", name=name)
        if name != _STUB_WRITER:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _WithoutStubs(spec.loader)
        return spec


def import_gradio() -> None:
    """Import gradio as described above; nothing happens where it is imported already."""
    # It reads these once, when it is imported. Nobody is told that this page is used.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if "gradio" in sys.modules:
        return
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        import gradio  # noqa: F401
    finally:
        sys.meta_path.remove(finder)


import_gradio()
