"""The application: what the page is made of, and how it is served."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware

from musiscene.palette import ACCENTS
from musiscene.pipeline import Pipeline
from musiscene.settings import Settings
from musiscene.study.store import RatingStore
from musiscene.types import CaptionKind
from musiscene.ui.ask_view import LONGEST_QUESTION
from musiscene.ui.compare_page import build_page
from musiscene.ui.desk import Desk
from musiscene.ui.endpoints import Endpoints, score_routes
from musiscene.ui.examples import Example, find_examples
from musiscene.ui.files import Assets, routes
from musiscene.ui.gallery import Gallery, gallery_of, gallery_routes, is_offered
from musiscene.ui.guarding import Guard, framed_by
from musiscene.ui.handlers import Handlers
from musiscene.ui.head import Head, head
from musiscene.ui.logs import DiscreetStream, keep_log
from musiscene.ui.openapi import openapi_routes
from musiscene.ui.study_server import mounted_routes
from musiscene.ui.texts import (
    ENGLISH,
    LANGUAGE_NAMES,
    LANGUAGES,
    duration_words,
    fill,
    size_words,
    title_of,
)
from musiscene.ui.tools import tool_routes
from musiscene.ui.translation import Markers
from musiscene.ui.uploads import Uploads
from musiscene.ui.verbs import Verbs
from musiscene.ui.warming import warm
from musiscene.zerogpu import make_pipeline

_log = logging.getLogger(__name__)

SYSTEM_FONTS = (
    *("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans"),
    *("PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif"),
)
SYSTEM_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")

WARM_AFTER_S = 1.5
"""The first page goes before the warming up."""

CLEAN_EVERY_S = 600.0
"""How often files that are over their time are looked for."""


class App(gr.Blocks):
    """The page with the desk behind it."""

    desk: Desk
    assets: Assets
    marked: Markers
    gallery: Gallery
    verbs: Verbs


def build_app(
    settings: Settings | None = None, pipeline: Pipeline | None = None, store: RatingStore | None = None
) -> App:
    """The page, ready for `launch_app`, or for `launch(**launch_options(app))`.

    Args:
        settings: Of this deployment; read from the environment when it is not given.
        pipeline: The stages; made from the settings when it is not given.
        store: Where ratings go; the settings' database when it is not given.

    Raises:
        ConfigError: A setting is not valid.
    """
    settings = settings or (pipeline.settings if pipeline else Settings.from_env())
    pipeline = pipeline or make_pipeline(settings)
    desk = Desk(settings, pipeline, store or RatingStore(settings.ratings_url))
    examples = find_examples()
    gallery = gallery_of(settings)
    assets = Assets({**_config(settings, examples), "gallery": is_offered(settings, gallery)})
    keep_s = max(60, round(settings.keep_files_s))
    app = App(
        title=ENGLISH["title"], delete_cache=(min(keep_s, 3600), keep_s), fill_width=True, analytics_enabled=False
    )
    app.desk, app.assets, app.marked, app.gallery = desk, assets, Markers(), gallery
    app.verbs = Verbs(desk, Path(get_upload_folder()))
    with app:
        handlers = Handlers(desk, examples, Path(get_upload_folder()))
        Endpoints(app.verbs).mount()  # first: their names are promised, the page's are not
        build_page(pipeline, handlers, app.marked)
    app.queue(default_concurrency_limit=8, max_size=200, api_open=False)
    return app


def launch_options(app: App) -> dict[str, Any]:
    """What `gr.Blocks.launch` needs for this page: look, files, limits."""
    settings = app.desk.settings
    return {
        "theme": gr.themes.Base(font=list(SYSTEM_FONTS), font_mono=list(SYSTEM_MONO)),
        "i18n": app.marked.i18n(),
        "app_kwargs": {
            "routes": [
                *routes(app.desk, app.assets),
                *score_routes(app.desk),
                *tool_routes(app.verbs),
                *openapi_routes(),
                *gallery_routes(app.gallery),
                *mounted_routes(settings),
            ],
            "middleware": [
                Middleware(Guard, proxies=settings.proxies or (1 if on_space() else 0)),
                Middleware(Uploads, settings=settings, folder=Path(get_upload_folder())),
                Middleware(Head, text=head(app.assets.url), framed_by=framed_by(os.environ)),
            ],
        },
        # Uploads are linked into their comparison's folder and served from there; `Guard` keeps Gradio from
        # serving any. They are not blocked here as well, since programs could then name none of theirs.
        "blocked_paths": [str(settings.work_dir), str(settings.data_dir)],
        "max_file_size": settings.limits.max_bytes,
        "footer_links": [],
        "run_history": False,
        "ssr_mode": False,
        "share": False,
        "show_error": False,
    }


def launch_app(
    settings: Settings | None = None,
    *,
    pipeline: Pipeline | None = None,
    store: RatingStore | None = None,
    block: bool = True,
) -> App:
    """Build the page and serve it; with `block`, until it is interrupted.

    Raises:
        ConfigError: A setting is not valid.
    """
    app = build_app(settings, pipeline, store)
    settings = app.desk.settings
    keep_log(settings)
    if block:  # then the process is the server's own
        sys.stderr = DiscreetStream(sys.stderr, settings)
    cleaner = threading.Thread(target=_clean_forever, args=(app.desk,), name="musiscene-cleaner", daemon=True)
    cleaner.start()
    address: dict[str, Any] = (
        {} if on_space() else {"server_name": settings.host, "server_port": free_port(settings.host, settings.port)}
    )
    # Whole, and before there are threads: two that begin with different modules of it at once break its circle.
    importlib.import_module("av")
    app.launch(**launch_options(app), **address, prevent_thread_lock=True, quiet=True)
    _log.info("serving on %s", app.local_url)
    warm(app.desk.pipeline, after_s=WARM_AFTER_S)
    print(f"MusiScene is at {app.local_url}", flush=True)  # noqa: T201 - the address is what was asked for
    if block:
        with contextlib.suppress(KeyboardInterrupt):
            app.block_thread()
    return app


def on_space() -> bool:
    """Whether this runs on a Space, behind the Hub's proxy."""
    return "SPACE_ID" in os.environ


def free_port(host: str, wanted: int) -> int:
    """`wanted`, or the first free port after it."""
    import socket

    for port in range(wanted, wanted + 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
        return port
    return wanted  # and the server says in its own words why it cannot


def _clean_forever(desk: Desk) -> None:
    pause = threading.Event()
    while True:
        removed = desk.clean()
        if removed:
            _log.info("removed %d comparisons that were not used any more", removed)
        pause.wait(min(CLEAN_EVERY_S, max(5.0, desk.settings.keep_files_s / 4)))


def _config(settings: Settings, examples: Mapping[str, Example]) -> dict[str, Any]:
    """What the page's script has to know from the start, in every language."""
    return {
        "languages": {language: _in_language(language, settings, examples) for language in LANGUAGES},
        "language_names": dict(LANGUAGE_NAMES),
        "accents": {kind.value: {"light": ACCENTS[kind].light, "dark": ACCENTS[kind].dark} for kind in CaptionKind},
        "max_bytes": settings.limits.max_bytes,
        "max_comment": 2000,
        "max_question": LONGEST_QUESTION,
    }


def _in_language(language: str, settings: Settings, examples: Mapping[str, Example]) -> dict[str, Any]:
    texts, limits = LANGUAGES[language], settings.limits
    longest = duration_words(limits.max_duration_s, texts)
    return {
        "texts": dict(texts),
        "kinds": [
            {
                "kind": kind.value,
                "title": title_of(kind, texts),
                "about": texts[f"kind_{kind}_about"],
                "example": texts[f"kind_{kind}_example"],
            }
            for kind in CaptionKind
        ],
        "examples": [
            {"id": name, "kind": example.kind, "title": example.title_in(language), "about": example.about_in(language)}
            for name, example in examples.items()
        ],
        "limit": fill(texts["drop_limit"], size=size_words(limits.max_bytes), duration=longest),
        "keep": fill(texts["keep"], time=duration_words(settings.keep_files_s, texts)),
    }
