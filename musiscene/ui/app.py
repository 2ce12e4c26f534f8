"""The application: what the page is made of, and how it is served."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from pathlib import Path
from typing import Any

# Before gradio is imported: it reads these once. Nobody is told that this page is used.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import gradio as gr
from gradio.utils import get_upload_folder

from musiscene.palette import ACCENTS, EXPLANATIONS, TITLES
from musiscene.pipeline import Pipeline
from musiscene.settings import Settings
from musiscene.study.store import RatingStore
from musiscene.types import CaptionKind
from musiscene.ui.compare_page import build_page
from musiscene.ui.desk import Desk
from musiscene.ui.examples import Example, find_examples
from musiscene.ui.files import Assets, routes
from musiscene.ui.handlers import Handlers
from musiscene.ui.texts import ENGLISH, duration_words, fill, size_words

_log = logging.getLogger(__name__)

SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
SYSTEM_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")

CLEAN_EVERY_S = 600.0
"""How often files that are over their time are looked for."""


class App(gr.Blocks):
    """The page with the desk behind it."""

    desk: Desk
    assets: Assets


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
    pipeline = pipeline or Pipeline(settings)
    desk = Desk(settings, pipeline, store or RatingStore(settings.ratings_url))
    examples = find_examples()
    assets = Assets(_config(settings, examples))
    keep_s = max(60, round(settings.keep_files_s))
    app = App(
        title=ENGLISH["title"], delete_cache=(min(keep_s, 3600), keep_s), fill_width=True, analytics_enabled=False
    )
    app.desk, app.assets = desk, assets
    with app:
        build_page(pipeline, Handlers(desk, examples, Path(get_upload_folder())), assets.url("musiscene.js"))
    app.queue(default_concurrency_limit=8, max_size=200, api_open=False)
    return app


def launch_options(app: App) -> dict[str, Any]:
    """What `gr.Blocks.launch` needs for this page: look, files, limits."""
    settings = app.desk.settings
    return {
        "theme": gr.themes.Base(font=list(SYSTEM_FONTS), font_mono=list(SYSTEM_MONO)),
        "head": f'<link rel="stylesheet" href="{app.assets.url("musiscene.css")}">'
        '<meta name="color-scheme" content="light dark">',
        "app_kwargs": {"routes": routes(app.desk, app.assets)},
        # Uploads are linked into their comparison's folder and served from there; Gradio serves none of them.
        "blocked_paths": [get_upload_folder(), str(settings.work_dir), str(settings.data_dir)],
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
    cleaner = threading.Thread(target=_clean_forever, args=(app.desk,), name="musiscene-cleaner", daemon=True)
    cleaner.start()
    on_space = "SPACE_ID" in os.environ
    address: dict[str, Any] = (
        {} if on_space else {"server_name": settings.host, "server_port": free_port(settings.host, settings.port)}
    )
    app.launch(**launch_options(app), **address, prevent_thread_lock=True, quiet=True)
    _log.info("serving on %s", app.local_url)
    print(f"MusiScene is at {app.local_url}", flush=True)  # noqa: T201 - the address is what was asked for
    if block:
        with contextlib.suppress(KeyboardInterrupt):
            app.block_thread()
    return app


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


def _config(settings: Settings, examples: Any) -> dict[str, Any]:
    """What the page's script has to know from the start."""
    limits = settings.limits
    listed: list[dict[str, str]] = [_example_dict(name, example) for name, example in examples.items()]
    return {
        "texts": dict(ENGLISH),
        "kinds": [
            {
                "kind": kind.value,
                "title": TITLES[kind],
                "about": EXPLANATIONS[kind],
                "light": ACCENTS[kind].light,
                "dark": ACCENTS[kind].dark,
            }
            for kind in CaptionKind
        ],
        "examples": listed,
        "max_bytes": limits.max_bytes,
        "limit": fill(
            ENGLISH["drop_limit"],
            size=size_words(limits.max_bytes),
            duration=duration_words(limits.max_duration_s),
        ),
        "keep": fill(ENGLISH["keep"], time=duration_words(settings.keep_files_s)),
        "max_comment": 2000,
    }


def _example_dict(name: str, example: Example) -> dict[str, str]:
    return {"id": name, "title": example.title, "kind": example.kind, "about": example.about}
