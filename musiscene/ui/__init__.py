"""The page: `build_app()` and one file per part; handlers are plain functions, layout is apart."""

from musiscene.ui import light_gradio as light_gradio  # first: it imports gradio
from musiscene.ui.app import App, build_app, launch_app, launch_options

__all__ = ["App", "build_app", "launch_app", "launch_options"]
