"""The page: `build_app()` and one file per part; handlers are plain functions, layout is apart."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from musiscene.ui.app import App, build_app, launch_app, launch_options

__all__ = ["App", "build_app", "launch_app", "launch_options"]


def __getattr__(name: str) -> Any:
    """Import the page, and gradio with it, when it is asked for: a server of studies starts without them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import_module("musiscene.ui.light_gradio")  # first: it imports gradio
    return getattr(import_module("musiscene.ui.app"), name)
