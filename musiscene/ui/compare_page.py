"""The page: the layout, and which handler hears which event."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from musiscene.pipeline import Pipeline
from musiscene.ui import view
from musiscene.ui.caption_view import captions_view
from musiscene.ui.handlers import Handlers
from musiscene.ui.parts import part
from musiscene.ui.scores_panel import scores_panel
from musiscene.ui.settings_panel import blind_switch, settings_panel
from musiscene.ui.texts import texts_for
from musiscene.ui.translation import Markers

# What the script knows goes along with every press; Gradio calls this in the browser and sends its result.
_SEND_PAGE = "(_page, ...others) => [window.musiscene.page(), ...others]"
_SEND_PAGE_ALONE = "() => [window.musiscene.page()]"


def build_page(pipeline: Pipeline, handlers: Handlers, marked: Markers) -> None:
    """Lay the page out in the open `gr.Blocks` and connect it."""
    person = ""
    header = part("header")
    source = part("source", view.source_view(None))
    with gr.Row(elem_id="ms-actions"):
        both = gr.Button(marked("both"), variant="primary", elem_id="ms-both", min_width=160)
        describe = gr.Button(marked("describe"), elem_id="ms-describe", min_width=100)
        score = gr.Button(marked("score"), elem_id="ms-score", min_width=100)
        stop = gr.Button(marked("stop"), variant="stop", elem_id="ms-stop", min_width=80)
        blind = blind_switch(marked)
    progress = part("progress", view.progress_view(None, person))
    settings = settings_panel(pipeline, blind, marked)
    with settings.accordion:
        machine = part("machine")
    captions = part("captions", captions_view(None, person))
    ask = part("ask", handlers.first_ask_view())
    player = part("player", view.player_view(None, person))
    scores, measured = scores_panel(marked)
    history = part("history")
    part("footer")
    page = gr.JSON(visible=False)

    parts = [source, progress, captions, ask, player]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    # One limit for everything that works or waits for work; who works when is the turnstile's business.
    working: dict[str, Any] = {**quiet, "concurrency_id": "work", "concurrency_limit": 24, "trigger_mode": "multiple"}
    prompt: dict[str, Any] = {**quiet, "concurrency_limit": 8, "trigger_mode": "multiple"}

    for button, handler in ((both, handlers.both), (describe, handlers.describe), (score, handlers.score)):
        button.click(_with_seed(handler), [page, *settings.fields], [*parts, settings.seed], js=_SEND_PAGE, **working)
    stop.click(handlers.stop, [page], None, js=_SEND_PAGE_ALONE, queue=False, **quiet)
    source.open_upload(handlers.open_upload, None, parts, **prompt)
    source.open_example(handlers.open_example, None, parts, **prompt)
    source.set_reference(handlers.set_reference, None, parts, **prompt)
    captions.imagine(handlers.imagine, None, parts, **working)
    ask.ask(handlers.ask, None, parts, **working)
    ask.stop_asking(handlers.stop_asking, None, None, **{**prompt, "queue": False})
    machine.look(handlers.look, None, machine, **prompt)
    player.rate(handlers.rate, None, parts, **prompt)

    def translate(event: gr.EventData) -> list[Any]:
        return settings.translated(texts_for(event._data.get("lang")))

    header.translate(translate, None, list(settings.choosing), **prompt)

    def restore(event: gr.EventData) -> Iterator[tuple[Any, ...]]:
        first = settings.restored(event._data.get("options"))
        for values in handlers.restore(event):
            yield (*values, *first)
            first = [gr.skip()] * len(settings.fields)

    scores.expand(handlers.measured, [page], measured, js=_SEND_PAGE_ALONE, **prompt)
    history.restore(restore, None, [*parts, *settings.fields], **working)
    history.forget(handlers.forget, None, None, **prompt)


def _with_seed(handler: Callable[..., Iterator[tuple[Any, ...]]]) -> Callable[..., Iterator[tuple[Any, ...]]]:
    """`handler` that also fills the seed's field with the seed that was used, once that may be told."""

    def handle(sent: Any, *settings: Any) -> Iterator[tuple[Any, ...]]:
        for values in handler(sent, *settings):
            player = values[-1]
            seed = (player.get("options") or {}).get("seed") if isinstance(player, dict) else None
            yield (*values, gr.skip() if seed is None or "tracks" not in player else seed)

    return handle
