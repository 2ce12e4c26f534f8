"""What the page fetches beside Gradio's own files: media of one comparison, plots, the zip, and our script and style.

A comparison's token is the only way to its files. Nothing is listed, and no other file of the machine can be reached.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from musiscene import media
from musiscene.errors import MusisceneError, explain
from musiscene.types import CaptionKind
from musiscene.ui import view
from musiscene.ui.comparison import Comparison
from musiscene.ui.desk import Desk, app_version

STATIC = Path(__file__).parent / "static"
SCRIPTS = (
    "dom.js",
    "switcher.js",
    "source.js",
    "moments.js",
    "captions.js",
    "ask.js",
    "machine.js",
    "track.js",
    "compare.js",
    "history.js",
    "page.js",
)
"""Parts of the page's script, in the order in which they need each other."""

POSTER = "poster.jpg"
"""A picture of the clip, for what a browser cannot play itself."""

_POSTER_SIDE = 960
_POSTER_AT = 0.1
"""Part of the clip: the first picture is often black."""

_TYPES = {".wav": "audio/wav", ".mid": "audio/midi", ".mp4": "video/mp4"}
_PRIVATE = {"Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff"}
# A file that somebody uploaded is shown as media or not at all: it can never run as a page of this site.
_UPLOADED = {**_PRIVATE, "Content-Security-Policy": "default-src 'none'; media-src 'self'; sandbox"}


def routes(desk: Desk, assets: Assets) -> list[Route]:
    """The addresses, for the application that serves the page."""

    def found(request: Request) -> Comparison:
        try:
            return desk.find(request.path_params["token"])
        except MusisceneError as error:
            raise HTTPException(404, str(error)) from None

    def media_file(request: Request) -> Response:
        comparison = found(request)
        if request.path_params["name"] == POSTER:
            return poster(comparison)
        path = comparison.public_file(request.path_params["name"])
        if path is None or not path.is_file():
            raise HTTPException(404, "There is no such file in this comparison.")
        name = view.download_name(comparison, path)
        kind = _TYPES.get(path.suffix) if comparison.folder / "results" in path.parents else _media_type(path)
        disposition = "attachment" if "save" in request.query_params else "inline"
        headers = _UPLOADED if path == comparison.clip.path else _PRIVATE
        return FileResponse(path, media_type=kind, filename=name, content_disposition_type=disposition, headers=headers)

    def poster(comparison: Comparison) -> Response:
        try:
            path = make_poster(comparison)
        except MusisceneError as error:
            raise HTTPException(404, str(error)) from None
        return FileResponse(path, media_type="image/jpeg", headers=_PRIVATE)

    def plot(request: Request) -> Response:
        comparison = found(request)
        try:
            kind, theme = CaptionKind(request.path_params["kind"]), request.path_params["theme"]
        except ValueError:
            raise HTTPException(404, "There is no such caption.") from None
        caption = comparison.written.get(kind)
        if caption is None or theme not in ("light", "dark") or not comparison.revealed_to_anybody():
            raise HTTPException(404, "There is no plot of that caption.")
        from musiscene.plots import plot_evidence  # matplotlib takes a second to import

        try:
            drawing = plot_evidence(caption, theme=theme)
        except Exception as error:  # noqa: BLE001 - a plot that cannot be drawn never breaks the page
            raise HTTPException(500, explain(error, "drawing the plot")) from None
        return Response(drawing, media_type="image/svg+xml", headers=_PRIVATE)

    def everything(request: Request) -> Response:
        comparison = found(request)
        if not comparison.revealed_to_anybody():
            return PlainTextResponse("Rate every soundtrack first: the files would tell which is which.", 403)
        if comparison.work.busy:
            return PlainTextResponse("Wait until the work is done, or press Stop first.", 409)
        with tempfile.NamedTemporaryFile(dir=comparison.folder, suffix=".part.zip", delete=False) as file:
            write_zip(comparison, file)
        stem = Path(comparison.clip_name).stem or "clip"
        path = Path(file.name)
        return FileResponse(
            path, media_type="application/zip", filename=f"musiscene-{stem}.zip", background=BackgroundTask(path.unlink)
        )

    return [
        Route(f"/{view.MEDIA_ROUTE}/{{token}}/{{name}}", media_file, methods=["GET", "HEAD"]),
        Route(f"/{view.PLOT_ROUTE}/{{token}}/{{kind}}.{{theme}}.svg", plot),
        Route(f"/{view.ZIP_ROUTE}/{{token}}", everything),
        Route("/musiscene/static/{name}", assets.response),
    ]


def make_poster(comparison: Comparison) -> Path:
    """A JPEG of one picture of the clip, made once.

    Raises:
        MusisceneError: There is no picture, or it cannot be decoded.
    """
    path = comparison.folder / POSTER
    if not path.is_file():
        from PIL import Image

        clip = comparison.clip
        frames = media.frames_at(clip, [_POSTER_AT * clip.duration_s], max_side=_POSTER_SIDE)
        with media.atomic_path(path) as part:
            Image.fromarray(frames.images[0]).save(part, "JPEG", quality=85)
    return path


def manifest(comparison: Comparison) -> dict[str, Any]:
    """Everything that is needed to make the results again; paths are those in the zip."""
    renditions = []
    for track in comparison.tracks:
        if track.rendition is not None:
            document = track.rendition.as_dict(comparison.folder / "results")
            renditions.append({"kind": track.kind.value, "prompt": track.rendition.caption.text, **document})
    clip = comparison.clip.as_dict()
    reference = comparison.reference.as_dict() if comparison.reference else None
    return {
        "app_version": app_version(),
        "clip": {**clip, "path": comparison.clip_name, "sha256": comparison.clip_hash},
        "reference": None if reference is None else {**reference, "path": comparison.reference_name},
        "captions": {kind.value: caption.as_dict() for kind, caption in comparison.captions.items()},
        "captions_as_written": {
            kind.value: comparison.written[kind].as_dict()
            for kind, caption in comparison.captions.items()
            if caption.backend == "edited" and kind in comparison.written
        },
        "questions": [exchange.as_dict() for exchange in comparison.questions],
        "unavailable": {kind.value: reason for kind, reason in comparison.unavailable.items()},
        "options": {**comparison.options, "seed": comparison.seed},
        "briefs": {kind.value: brief for kind, brief in comparison.briefs.items()},
        "renditions": renditions,
    }


def write_zip(comparison: Comparison, out: BinaryIO | Any) -> None:
    """Write videos, audio, MIDI, captions and a manifest; media is stored as it is, being compressed already."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for track in comparison.tracks:
            rendition = track.rendition
            for path in (rendition.video, rendition.audio, rendition.midi) if rendition else ():
                if path is not None and path.is_file():
                    archive.write(path, path.relative_to(comparison.folder / "results").as_posix())
        lines = [f"{kind.value}: {caption.text}" for kind, caption in comparison.captions.items()]
        archive.writestr("captions.txt", "\n\n".join(lines) + "\n", zipfile.ZIP_DEFLATED)
        document = json.dumps(_finite(manifest(comparison)), ensure_ascii=False, indent=2, allow_nan=False)
        archive.writestr("manifest.json", document + "\n", zipfile.ZIP_DEFLATED)


def _finite(value: Any) -> Any:
    """`value` with infinities and NaN as null, which is all that JSON has for them."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value


class Assets:
    """The page's script and style with their fingerprints; the script begins with what it has to know."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        known = json.dumps(config, ensure_ascii=False).replace("</", "<\\/")
        script = "\n".join((STATIC / name).read_text("utf-8") for name in SCRIPTS)
        self._texts = {
            "musiscene.js": f"window.musiscene = {{ config: {known} }};\n{script}",
            "musiscene.css": (STATIC / "musiscene.css").read_text("utf-8"),
        }

    def url(self, name: str) -> str:
        """Address of a script or style, relative to the page; it changes with the content."""
        return f"musiscene/static/{name}?v={hashlib.sha256(self._texts[name].encode()).hexdigest()[:12]}"

    def response(self, request: Request) -> Response:
        """The script or style that was asked for."""
        name = request.path_params["name"]
        if name not in self._texts:
            raise HTTPException(404, "There is no such file.")
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(self._texts[name], media_type=kind, headers=headers)


def _media_type(path: Path) -> str:
    import mimetypes

    guessed = mimetypes.guess_type(path.name)[0] or ""
    return guessed if guessed.startswith(("video/", "audio/")) else "application/octet-stream"
