"""The same verbs for programs: `/describe`, `/score`, `/compare` and `/rate`, for `gradio_client` and plain HTTP.

Each call that works is a stream: documents with `progress` while it is done, and the result as the last one. Addresses
of files are relative to the page; they hold a random token and are the only way to the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
from gradio.events import api
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from musiscene.errors import explain
from musiscene.ui.desk import Desk
from musiscene.ui.guarding import visitor_of
from musiscene.ui.verbs import SCORE_ROUTE, Document, Verbs, Visitor

_FILES = {"soundtrack.wav": "audio/wav", "soundtrack.mid": "audio/midi"}


class Endpoints:
    """The verbs as Gradio's named endpoints."""

    def __init__(self, verbs: Verbs) -> None:
        self._verbs = verbs

    def mount(self) -> None:
        """Add the endpoints to the open `gr.Blocks`."""
        working: dict[str, Any] = {"concurrency_id": "work", "concurrency_limit": 24}
        api(self.describe, api_name="describe", **working)
        api(self.score, api_name="score", **working)
        api(self.compare, api_name="compare", **working)
        api(self.rate, api_name="rate", concurrency_limit=8)

    def describe(self, clip: dict[str, Any], request: gr.Request, kinds: list[str] | None = None) -> Iterator[Document]:
        """Write the captions of a video or a music track.

        Args:
            clip: The file, as `gradio_client.handle_file` gives it.
            kinds: Of "video", "music", "fusion", "msi"; all of them by default.
        """
        with _in_words("writing the captions"):
            yield from self._verbs.describe(_visitor(request), clip, kinds)

    def compare(
        self,
        clip: dict[str, Any],
        request: gr.Request,
        kinds: list[str] | None = None,
        duration_s: float | None = None,
        seed: int = 0,
        mix: str = "replace",
    ) -> Iterator[Document]:
        """Write the captions, make a soundtrack from each and put it on the clip.

        Args:
            clip: The file, as `gradio_client.handle_file` gives it.
            kinds: Of "video", "music", "fusion", "msi"; all of them by default.
            duration_s: Length of the music; the clip's own by default.
            seed: The same clip and seed give the same music.
            mix: What becomes of the clip's own sound: "replace", "duck" or "blend".
        """
        with _in_words("making the comparison"):
            yield from self._verbs.compare(_visitor(request), clip, kinds, duration_s, seed, mix)

    def score(self, text: str, request: gr.Request, duration_s: float = 30.0, seed: int = 0) -> Iterator[Document]:
        """Make a soundtrack from words.

        Args:
            text: Words for the music, a mood, or a scene.
            duration_s: Length in seconds.
            seed: The same words and seed give the same music.
        """
        with _in_words("making the soundtrack"):
            yield from self._verbs.score(_visitor(request), text, duration_s, seed)

    def rate(
        self, token: str, track: str, score: float, person: str, request: gr.Request, comment: str = ""
    ) -> Document:
        """Keep what a person thinks of a soundtrack, at once.

        Args:
            token: Of the comparison, as `/compare` returned it.
            track: The soundtrack's id.
            score: 0 (bad) to 100 (excellent).
            person: A random name of 8 to 64 letters, digits and dashes; a second rating replaces the first.
            comment: A line in the person's own words.
        """
        with _in_words("saving the rating"):
            return self._verbs.rate(_visitor(request), token, track, score, person, comment)


def _visitor(request: gr.Request) -> Visitor:
    client = request.client
    host = visitor_of({"client": (client.host, client.port) if client else None})
    return Visitor(request.headers.get("authorization", ""), host)


@contextmanager
def _in_words(doing: str) -> Iterator[None]:
    """Every problem becomes one sentence for the caller."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the place where errors become sentences
        raise gr.Error(explain(error, doing), print_exception=False) from None


def score_routes(desk: Desk) -> list[Route]:
    """The addresses of what `/score` made."""

    def file(request: Request) -> Response:
        token, name = request.path_params["token"], request.path_params["name"]
        path = desk.settings.work_dir / token / name
        if name not in _FILES or not token.replace("-", "").replace("_", "").isalnum() or not path.is_file():
            raise HTTPException(404, "There is no such file.")
        headers = {"Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff"}
        return FileResponse(path, media_type=_FILES[name], headers=headers)

    return [Route(f"/{SCORE_ROUTE}/{{token}}/{{name}}", file, methods=["GET", "HEAD"])]
