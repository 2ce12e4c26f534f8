"""The parts of the page that Gradio has no component for: drawn by our script, told by handlers, heard by events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

EVENTS: Mapping[str, Sequence[str]] = {
    "header": ("translate",),
    "source": ("open_upload", "open_example", "set_reference"),
    "progress": (),
    "machine": ("look",),
    "captions": ("imagine",),
    "ask": ("ask", "stop_asking"),
    "player": ("rate",),
    "history": ("restore", "forget"),
    "footer": (),
}
"""Part -> events that its script triggers."""


def part(name: str, value: Mapping[str, Any] | None = None) -> gr.HTML:
    """A part of the page whose element our script fills; its value is a view, a JSON document.

    The template says nothing of the value, so Gradio never redraws the element: the script changes what has changed,
    and a field that is being typed in keeps its cursor. The script is in the page's head.
    """
    events = ", ".join(f"'{event}'" for event in EVENTS[name])  # Gradio looks for the quoted names
    return gr.HTML(
        value=dict(value or {}),
        html_template=f'<div class="ms-part" data-part="{name}"></div>',
        js_on_load=f"const events = [{events}]; "
        f"window.musiscene.mount('{name}', {{element, trigger, props, watch, events}});",
        apply_default_css=False,
        elem_id=f"ms-{name}",
        elem_classes=["ms-host"],
    )
