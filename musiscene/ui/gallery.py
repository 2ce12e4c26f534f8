"""Finished comparisons that open at once: the folders that `musiscene showcase` wrote, served beside the page.

Nothing is computed here. A folder that is put into the gallery is there with the next look at it.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from musiscene.settings import Settings
from musiscene.ui.gallery_page import STYLE, render_gallery
from musiscene.ui.texts import LANGUAGES, Texts, texts_for

FOLDER = Path(__file__).resolve().parents[2] / "gallery"
"""Where a checkout keeps one that `make gallery` has made."""

PAGE = "index.html"

_EXHIBITS = re.compile(r'<script type="application/json" id="exhibits">(.*?)</script>', re.DOTALL)
_HEADING = re.compile(r"<h1(?: [^>]*)?>(.*?)</h1>", re.DOTALL)
_TYPES = {
    ".mp4": "video/mp4", ".m4a": "audio/mp4", ".jpg": "image/jpeg", ".js": "text/javascript",
}  # fmt: skip
"""What a showcase consists of beside its page; nothing else is served."""

_LARGEST_PAGE = 32 * 1024**2
_ONLY_OURS = "object-src 'none'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True, slots=True)
class Exhibited:
    """One clip of a showcase, as the list shows it."""

    name: str
    title: str
    poster: str


@dataclass(frozen=True, slots=True)
class Show:
    """One showcase.

    Attributes:
        name: Its folder, which is its address too.
        folder: Where it is.
        title: Its heading.
        clips: In its order.
        soundtracks: How many in all.
    """

    name: str
    folder: Path
    title: str
    clips: Sequence[Exhibited]
    soundtracks: int


class Gallery:
    """The showcases in a folder; the folder may itself be one. Safe to use from several threads."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._known: dict[Path, tuple[int, Show | None]] = {}
        self._lock = threading.Lock()

    def shows(self) -> Mapping[str, Show]:
        """What there is now, by name, in the order of the names."""
        if self._folder is None or not self._folder.is_dir():
            return {}
        if (self._folder / PAGE).is_file():
            folders = [self._folder]
        else:
            inside = self._folder.resolve()
            named = sorted(path for path in self._folder.iterdir() if not path.name.startswith("."))
            folders = [path for path in named if path.is_dir() and path.resolve().is_relative_to(inside)]
        found = (self._look(folder) for folder in folders)
        return {show.name: show for show in found if show is not None}

    def _look(self, folder: Path) -> Show | None:
        page = folder / PAGE
        try:
            changed = page.stat().st_mtime_ns
        except OSError:
            return None
        with self._lock:
            known = self._known.get(folder)
        if known is None or known[0] != changed:
            known = (changed, read_show(folder))
            with self._lock:
                self._known[folder] = known
        return known[1]


def gallery_of(settings: Settings) -> Gallery:
    """The gallery of this deployment: the folder that was set, else the one of the checkout."""
    return Gallery(settings.gallery or (FOLDER if FOLDER.is_dir() else None))


def is_offered(settings: Settings, gallery: Gallery) -> bool:
    """Whether the page leads to the gallery: somebody has set a folder, or there is something in it."""
    return settings.gallery is not None or bool(gallery.shows())


def read_show(folder: Path) -> Show | None:
    """The showcase in `folder`; None where there is another page, or one that cannot be read."""
    try:
        page = folder / PAGE
        if page.stat().st_size > _LARGEST_PAGE:
            return None
        text = page.read_text("utf-8")
        found, heading = _EXHIBITS.search(text), _HEADING.search(text)
        if found is None or heading is None:
            return None
        exhibits = json.loads(found[1])
        clips = [Exhibited(str(e["name"]), str(e["title"]), _relative(e.get("poster"))) for e in exhibits]
        soundtracks = sum(bool(voice["kind"]) for exhibit in exhibits for voice in exhibit["voices"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Show(folder.resolve().name, folder, html.unescape(heading[1]), clips, soundtracks)


def gallery_routes(gallery: Gallery) -> list[Route]:
    """The addresses of the gallery, for the application that serves the page."""

    def listing(request: Request) -> Response:
        language = _language(request)
        page = render_gallery(list(gallery.shows().values()), language)
        return HTMLResponse(page, headers=_headers(f"style-src {_hash(STYLE)}"))

    def file(request: Request) -> Response:
        show = gallery.shows().get(request.path_params["name"])
        wanted = request.path_params["path"]
        texts = texts_for(_language(request))
        if show is None:
            return _missing(texts)
        if wanted in ("", PAGE):
            return _page(show, _language(request))
        path = _inside(show.folder, wanted)
        if path is None:
            return _missing(texts)
        headers = {"Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff"}
        return FileResponse(path, media_type=_TYPES[path.suffix.lower()], headers=headers)

    def to_folder(request: Request) -> Response:
        # The addresses in a page are relative to it, and so is this one, whatever proxy is before us.
        name = request.path_params.get("name", "gallery")
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{quote(name)}/{query}", 307)

    return [
        Route("/gallery", to_folder, methods=["GET", "HEAD"]),
        Route("/gallery/", listing, methods=["GET", "HEAD"]),
        Route("/gallery/{name}", to_folder, methods=["GET", "HEAD"]),
        Route("/gallery/{name}/{path:path}", file, methods=["GET", "HEAD"]),
    ]


def _page(show: Show, language: str) -> Response:
    """A showcase's page with a way back; only the scripts that it was written with run."""
    try:
        text = (show.folder / PAGE).read_text("utf-8")
    except OSError:
        return _missing(texts_for(language))
    back = html.escape(texts_for(language)["gallery_all"])
    link = f'<p class="back"><a lang="{language}" href="../?lang={language}">← {back}</a></p>\n'
    text = text.replace('<header class="top">', f'{link}<header class="top">', 1)
    scripts = " ".join(_hash(script) for script in re.findall(r"<script>(.*?)</script>", text, re.DOTALL))
    styles = " ".join(_hash(style) for style in re.findall(r"<style>(.*?)</style>", text, re.DOTALL))
    policy = f"script-src 'self' {scripts}; style-src 'self' {styles}; media-src 'self'"
    return HTMLResponse(text, headers=_headers(policy))


def _headers(policy: str) -> dict[str, str]:
    return {
        "Cache-Control": "no-cache",
        "Content-Security-Policy": f"default-src 'none'; img-src 'self' data:; {policy}; {_ONLY_OURS}",
    }


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _inside(folder: Path, name: str) -> Path | None:
    """A media file of that showcase; None for whatever else the name may mean."""
    if "\0" in name or "\\" in name or any(part.startswith(".") for part in name.split("/")):
        return None
    try:
        path = (folder / name).resolve()
        fine = path.is_relative_to(folder.resolve()) and path.suffix.lower() in _TYPES and path.is_file()
    except (OSError, ValueError):
        return None
    return path if fine else None


def _relative(name: Any) -> str:
    """A poster's name where it leads below its page; empty otherwise."""
    text = str(name or "")
    return "" if ":" in text or text.startswith("/") or ".." in text.split("/") else text


def _missing(texts: Texts) -> Response:
    return PlainTextResponse(texts["gallery_gone"], 404)


def _language(request: Request) -> str:
    """The language that was asked for, else the first that the browser reads and we have."""
    wished = [request.query_params.get("lang", "")]
    wished += [part.split(";")[0] for part in request.headers.get("accept-language", "").split(",")]
    codes = (code.strip().lower().split("-")[0] for code in wished)
    return next((code for code in codes if code in LANGUAGES), "en")
