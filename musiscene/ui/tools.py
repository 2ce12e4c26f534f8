"""The verbs as tools of the Model Context Protocol, at `/gradio_api/mcp`, where clients of a Gradio app look for them.

Our own server in place of Gradio's: Gradio wants an older `mcp`, lowers pydantic, fetches any address that a client
names, and knows neither our keys nor our limits. The transport is Streamable HTTP without sessions, so several pages
can stand behind one address. Specification: modelcontextprotocol.io, revision 2026-07-28 and those before.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import math
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing, closing
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from gradio.context import LocalContext
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from musiscene.errors import explain
from musiscene.following import Put, begin
from musiscene.types import CaptionKind
from musiscene.ui.contracts import TOOL_CLIP, VERBS, Verb
from musiscene.ui.desk import app_version
from musiscene.ui.guarding import visitor_of
from musiscene.ui.verbs import LARGEST_INLINE_BYTES, Document, Verbs, Visitor

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

_log = logging.getLogger(__name__)

ROUTE = "/gradio_api/mcp"
MISSING = "The MCP server needs a package that is not installed here: run `pip install 'musiscene[mcp]'`."
_ABOUT = (
    "MusiScene describes a video or a music track in four captions, makes background music from words or captions, and "
    "puts it on the video. To give it a file, POST it as the form field `files` to /gradio_api/upload and use the path "
    "that comes back. Addresses of results are open to whoever has them, for a day by default."
)
_LARGEST_REQUEST_BYTES = LARGEST_INLINE_BYTES * 4 // 3 + 64 * 1024


def tool_routes(verbs: Verbs) -> list[Route]:
    """The address of the tools."""
    return [Route(path, _Tools(verbs), methods=["GET", "POST", "DELETE"]) for path in (ROUTE, ROUTE + "/")]


class _Tools:
    """The ASGI application. `mcp` is imported by the first request, so that it costs the page's start nothing."""

    def __init__(self, verbs: Verbs) -> None:
        self._verbs = verbs
        self._server: Server[Any] | None = None
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        if importlib.util.find_spec("mcp") is None:
            await PlainTextResponse(MISSING, 501)(scope, receive, send)
            return
        if not _same_site(request):
            await PlainTextResponse("A page of another site cannot use these tools.", 403)(scope, receive, send)
            return
        if request.method == "GET" and "text/event-stream" not in request.headers.get("accept", ""):
            words = f"This address is for programs that speak the Model Context Protocol. {_ABOUT}"
            await HTMLResponse(f"<!doctype html><title>MusiScene</title><p>{words}</p>")(scope, receive, send)
            return
        server = await anyio.to_thread.run_sync(self._ready)
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        # Without sessions there is nothing to keep between two requests, so each has a manager of its own.
        manager = StreamableHTTPSessionManager(app=server, stateless=True, max_request_body_size=_LARGEST_REQUEST_BYTES)
        async with manager.run():
            await manager.handle_request(scope, receive, send)

    def _ready(self) -> Server[Any]:
        with self._lock:
            if self._server is None:
                self._server = make_server(self._verbs)
            return self._server


def make_server(verbs: Verbs) -> Server[Any]:
    """The server with its four tools."""
    from mcp import types
    from mcp.server.lowlevel import Server

    logging.getLogger("mcp.server.streamable_http_manager").setLevel(logging.WARNING)  # two lines for each request
    by_name = {verb.name: verb for verb in VERBS}

    async def listed(context: Any, parameters: Any) -> types.ListToolsResult:
        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name=verb.name,
                    title=verb.title,
                    description=verb.about,
                    input_schema=verb.arguments(clip=TOOL_CLIP),
                    output_schema=verb.answer(),
                    annotations=types.ToolAnnotations(
                        title=verb.title,
                        read_only_hint=not verb.changes,
                        destructive_hint=False,
                        idempotent_hint=True,
                        open_world_hint=False,
                    ),
                )
                for verb in VERBS
            ]
        )

    async def called(context: Any, parameters: types.CallToolRequestParams) -> types.CallToolResult:
        verb, given = by_name.get(parameters.name), dict(parameters.arguments or {})
        if verb is None:
            return _refused(f"There is no tool {parameters.name!r}. Choose one of: {', '.join(by_name)}.")
        if trouble := _trouble(verb, given):
            return _refused(trouble)
        request: Request = context.request
        visitor = Visitor(request.headers.get("authorization", ""), visitor_of(request.scope))
        work = partial(getattr(verbs, verb.name), visitor, **given)
        try:
            document: Document = {}
            told: tuple[float, float, str] | None = None
            async with aclosing(_followed(work, request, steps=verb.steps)) as documents:
                async for document in documents:
                    share = _share(document, given, scores=verb.name == "compare") if "progress" in document else None
                    if share is not None and share != told:
                        told = share
                        await context.session.report_progress(*share)
        except Exception as error:  # noqa: BLE001 - the place where errors become sentences
            return _refused(explain(error, verb.title.lower()))
        document = _absolute(json.loads(json.dumps(document, default=str)), str(request.base_url))
        text = types.TextContent(type="text", text=json.dumps(document, ensure_ascii=False, allow_nan=False))
        return types.CallToolResult(content=[text], structured_content=document)

    def _refused(words: str) -> types.CallToolResult:
        return types.CallToolResult(content=[types.TextContent(type="text", text=words)], is_error=True)

    return Server(
        "musiscene",
        title="MusiScene",
        version=app_version(),
        instructions=_ABOUT,
        on_list_tools=listed,
        on_call_tool=called,
    )


async def _followed(work: Callable[[], Any], request: Request, *, steps: bool) -> Any:
    """The documents of a verb, which blocks, while the event loop goes on; leaving it ends the work."""

    def run(put: Put[Document], left: threading.Event) -> None:
        LocalContext.request.set(request)  # type: ignore[arg-type]  # for a GPU provider: whose quota it is
        if not steps:
            put(work())
            return
        documents: Iterator[Document] = work()
        with closing(documents):  # type: ignore[type-var]
            for document in documents:
                put(document)
                if left.is_set():
                    return

    told, left = begin(run, "musiscene-tool")
    try:
        while True:
            try:
                news = told.get_nowait()
            except queue.Empty:
                await anyio.sleep(0.05)
                continue
            if news is None:
                return
            if isinstance(news, BaseException):
                raise news
            yield news
    finally:
        left.set()


def _trouble(verb: Verb, given: Document) -> str:
    """What is wrong with the arguments, in one sentence; empty when nothing is."""
    from jsonschema import Draft202012Validator  # comes with mcp

    problems = sorted(
        Draft202012Validator(verb.arguments(clip=TOOL_CLIP)).iter_errors(given), key=lambda e: e.json_path
    )
    if not problems:
        return ""
    first = problems[0]
    where = ".".join(str(part) for part in first.absolute_path)
    words = first.message if len(first.message) < 300 else f"{first.message[:300]}…"
    return f"The arguments of {verb.name} cannot be used{f' ({where})' if where else ''}: {words}."


def _share(document: Document, given: Document, *, scores: bool) -> tuple[float, float, str]:
    """How far the work is, as `report_progress` takes it: done, of how much, and a note."""
    progress = document["progress"]
    if isinstance(progress, float):
        return progress, 1.0, str(document.get("note", ""))
    if progress == "waiting":
        return 0.0, 1.0, "Waiting for other people's work"
    captions, made = document.get("captions", ()), document.get("soundtracks", ())
    wanted = len(given.get("kinds") or CaptionKind)
    stages = [("captions", captions), ("soundtracks", made)] if scores else [("captions", captions)]
    note = "; ".join(f"{len(ready)} of {wanted} {what}" for what, ready in stages)
    return float(sum(len(ready) for _, ready in stages)), float(wanted * len(stages)), note


def _absolute(value: Any, base: str) -> Any:
    """`value` with whole addresses in place of those that are relative to the page."""
    if isinstance(value, dict):
        return {key: _absolute(item, base) for key, item in value.items()}
    if isinstance(value, list):
        return [_absolute(item, base) for item in value]
    if isinstance(value, str) and value.startswith(("musiscene/media/", "musiscene/score/")):
        return base + value
    if isinstance(value, float) and not math.isfinite(value):  # JSON has no name for it
        return None
    return value


def _same_site(request: Request) -> bool:
    """Whether this is no page of another site, whose scripts run in a visitor's browser (specification, "Security")."""
    origin = request.headers.get("origin", "")
    return not origin or urlsplit(origin).netloc == request.headers.get("host", "")
