"""Entry of the Space: the page with settings from the environment."""

from __future__ import annotations

import contextlib

with contextlib.suppress(ImportError):  # on ZeroGPU it has to come before anything that touches CUDA
    import spaces  # noqa: F401

from musiscene.ui import launch_app

if __name__ == "__main__":
    launch_app()
