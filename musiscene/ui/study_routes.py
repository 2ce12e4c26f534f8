"""The participant's addresses: a light page of our own beside Gradio's.

Gradio's page would send component trees, file caches and event queues to the browser, and a save would be an event of
a queue. Here every response is one of five kinds that can be read in full: the shell, our scripts, JSON that
`Study.view` made, a media file under a drawn id, or a sentence.
"""

from __future__ import annotations

import html
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from musiscene.errors import MusisceneError, explain
from musiscene.study.answers import Refused, agent_class
from musiscene.study.design import Design
from musiscene.study.taking_part import Arrival, Study

_log = logging.getLogger(__name__)
STATIC = Path(__file__).parent / "static"
SCRIPTS = ("study.js", "study_pages.js", "study_player.js", "study.css")
MAX_BODY = 512 * 1024
SAVING_THREADS = 6
"""Messages of participants that are worked on at once; the others wait in the order in which they came. With more, the
threads take the interpreter from each other between any two statements, and all are slow instead of a few."""
_KINDS = {".mp4": "video/mp4", ".flac": "audio/flac", ".js": "text/javascript", ".css": "text/css"}
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # What a participant typed, or an address that somebody made up, can never run as script here.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'",
}
_SHELL = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">
<title>{title}</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="../study-static/study.css">
<script type="module" src="../study-static/study.js"></script>
</head>
<body><div id="study" data-design="{design}"></div>
<noscript><main>This study needs JavaScript.</main></noscript></body>
</html>
"""


class _AnonymousFile(FileResponse):
    """A file without its times: they could tell which files were made together."""

    def set_stat_headers(self, stat_result: os.stat_result) -> None:
        """The length, and nothing else."""
        self.headers.setdefault("content-length", str(stat_result.st_size))


def study_routes(studies: Mapping[str, Study]) -> list[Route]:
    """The addresses of all studies of this installation, by name."""

    def found(request: Request) -> Study:
        study = studies.get(request.path_params["name"])
        if study is None:
            raise Refused(
                "There is no study at this address: the link is not whole, or the study has ended.", 404, "unknown"
            )
        return study

    async def shell(request: Request) -> Response:
        try:
            design = found(request).design
        except Refused as refusal:
            return PlainTextResponse(str(refusal), refusal.status, _HEADERS)
        shown = html.escape(json.dumps(public_design(design), ensure_ascii=False), quote=True)
        language = design.languages[0]
        title = html.escape(design.title[language])
        return HTMLResponse(_SHELL.format(language=language, title=title, design=shown), headers=_HEADERS)

    saving = anyio.CapacityLimiter(SAVING_THREADS)
    # The database lets people in one after the other; those who wait for that must not hold the threads of the others.
    entering = anyio.CapacityLimiter(1)

    def answering(
        act: Callable[[Study, dict[str, Any], Request], Any], turns: anyio.CapacityLimiter
    ) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            try:
                study = found(request)
                body = await _body(request)
                result = await anyio.to_thread.run_sync(act, study, body, request, limiter=turns)
                return JSONResponse(result, headers=_HEADERS)
            except Refused as refusal:
                return _failure(str(refusal), refusal.status, refusal.code)
            except ClientDisconnect:
                return Response(status_code=400)
            except MusisceneError as error:
                # The sentence is for the researcher (it names the database), so it goes to the log.
                _log.error("a participant was told to try again: %s", error)
                return _failure("Your answer could not be kept just now. It will be sent again.", 503, "later")
            except Exception as error:  # noqa: BLE001 - a defect becomes an id of the log, never a traceback
                return _failure(explain(error, "answering"), 500, "later")

        return endpoint

    def enter(study: Study, body: dict[str, Any], request: Request) -> Any:
        return study.enter(
            Arrival(
                token=body.get("token", ""),
                person=body.get("person"),
                study=body.get("study"),
                session=body.get("session"),
                language=str(body.get("language", ""))[:8],
                agent=agent_class(request.headers.get("user-agent", "")),
            )
        )

    def view(study: Study, body: dict[str, Any], _request: Request) -> Any:
        return study.view(body.get("token"))

    def save(study: Study, body: dict[str, Any], _request: Request) -> Any:
        return study.save(
            body.get("token"), body.get("step"), body.get("save_id"), body.get("answer"), body.get("events")
        )

    def note(study: Study, body: dict[str, Any], _request: Request) -> Any:
        study.note(body.get("token"), body.get("step"), body.get("events"))
        return {"kept": True}

    async def media(request: Request) -> Response:
        try:
            study = found(request)
            file = await anyio.to_thread.run_sync(study.media, request.path_params["id"][:80])
        except Refused as refusal:
            return PlainTextResponse(str(refusal), refusal.status, _HEADERS)
        except MusisceneError as error:
            _log.error("a file could not be served: %s", error)
            return PlainTextResponse("The file cannot be read just now.", 503, _HEADERS)
        if file is None:
            return PlainTextResponse("There is no such file.", 404, _HEADERS)
        if isinstance(file, bytes):
            return Response(file, media_type="audio/wav", headers=_HEADERS)
        return _AnonymousFile(file, media_type=_KINDS[file.suffix], headers=_HEADERS)

    return [
        Route("/study-static/{file}", _static),
        Route("/study/{name}", shell),
        Route("/study/{name}/api/enter", answering(enter, entering), methods=["POST"]),
        Route("/study/{name}/api/view", answering(view, saving), methods=["POST"]),
        Route("/study/{name}/api/save", answering(save, saving), methods=["POST"]),
        Route("/study/{name}/api/note", answering(note, saving), methods=["POST"]),
        Route("/study/{name}/media/{id}", media),
    ]


def public_design(design: Design) -> dict[str, Any]:
    """What every participant of a study may know: words, and which languages they are in."""
    return {
        "languages": list(design.languages),
        "title": dict(design.title),
        "question": dict(design.question),
        "consent": dict(design.consent),
        "thanks": dict(design.thanks),
        "contact": design.contact,
        "questions": [
            {
                "id": question.id,
                "kind": question.kind,
                "label": dict(question.label),
                "options": [dict(option) for option in question.options],
                "required": question.required,
                "lowest": question.lowest,
                "highest": question.highest,
            }
            for question in design.questions
        ],
    }


def text_languages() -> list[str]:
    """The languages that the page itself speaks: one file `study_<language>.json` each."""
    return sorted(path.stem.removeprefix("study_") for path in STATIC.glob("study_*.json"))


def _static(request: Request) -> Response:
    file = request.path_params["file"]
    if file in SCRIPTS:
        kind = _KINDS[Path(file).suffix]
    elif file.removeprefix("study_").removesuffix(".json") in text_languages():
        kind = "application/json"
    else:
        return PlainTextResponse("There is no such file.", 404, _HEADERS)
    headers = {**_HEADERS, "Cache-Control": "no-cache"}
    return Response((STATIC / file).read_bytes(), media_type=kind, headers=headers)


async def _body(request: Request) -> dict[str, Any]:
    parts: list[bytes] = []
    length = 0
    async for part in request.stream():
        length += len(part)
        if length > MAX_BODY:
            raise Refused(f"That is more than {MAX_BODY // 1024} KB at once.", 413, "size")
        parts.append(part)
    try:
        body = json.loads(b"".join(parts))
    except (ValueError, RecursionError):
        raise Refused("That is not readable. Reload the page.") from None
    if not isinstance(body, dict):
        raise Refused("That is not readable. Reload the page.")
    return body


def _failure(message: str, status: int, code: str) -> Response:
    return JSONResponse({"error": code, "message": message}, status, headers=_HEADERS)
