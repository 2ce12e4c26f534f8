"""What reaches the application and what leaves it: which addresses exist, who asks, and the security headers.

Gradio has addresses for components that this page does not have (files by their path, streams, a proxy, recordings,
code that is edited in the page). Only those that the page and its programs use are let through.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_GRADIO = re.compile(r"/gradio_api/+([^/=?]*)(.?)")
_USED = frozenset((
    *("info", "openapi.json", "startup-events", "theme.css", "app_id", "login_check", "heartbeat"),  # to start
    *("upload", "upload_progress", "queue", "call", "cancel", "reset", "run", "api", "mcp"),  # to work
))  # fmt: skip
_CLOSED = re.compile(
    r"/(?:file|proxy|stream|svelte|monitoring|dev|custom_component|deep_link|vibe|runs|run-history)(?:[/=]|$)"
)
_OURS = ("/musiscene/", "/gallery/", "/study/", "/results/")
"""Below these our own routes decide; a gallery may well have a folder called "file"."""

NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""Policy of whatever is no page: should a browser ever show it as one, it can do nothing."""

_HEADERS: Mapping[str, str] = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(self), geolocation=(), payment=(), usb=(), browsing-topics=()",
    "content-security-policy": NOTHING,
}


def page_policy(nonce: str, framed_by: str) -> str:
    """The Content-Security-Policy of Gradio's page.

    Only scripts of this server, and inline ones that this server has signed with `nonce`, run. Gradio makes functions
    from the text of its components and sets styles in the page, so both of these have to be allowed.

    Args:
        nonce: Of this one answer.
        framed_by: Who may show the page in a frame, as in `frame-ancestors`.
    """
    return (
        f"default-src 'self'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self'; connect-src 'self'; "
        f"worker-src 'none'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors {framed_by}"
    )


def framed_by(environ: Mapping[str, str]) -> str:
    """Who may frame the page: a Space is shown in a frame of the Hub; everywhere else only this server may."""
    return "'self' https://huggingface.co" if environ.get("SPACE_ID") else "'self'"


class Guard:
    """ASGI middleware that closes what is not used, and puts the security headers on every answer.

    Args:
        app: What is guarded.
        proxies: How many proxies before this server are ours: each has added whom it was asked by to
            `X-Forwarded-For`. With 0 that header, which anybody can send, is not read here.
    """

    def __init__(self, app: ASGIApp, proxies: int = 0) -> None:
        self._app, self._proxies = app, proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 404, or hand the request on."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})  # nothing here speaks it
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", []))
                names = {name.lower() for name, _ in given}
                added = [(n.encode(), v.encode()) for n, v in _HEADERS.items() if n.encode() not in names]
                message = {**message, "headers": given + added}
            await send(message)

        if is_closed(scope["path"]):
            await PlainTextResponse("There is nothing at this address.", 404)(scope, receive, guarded)
        else:
            await self._app(self._known(scope), receive, guarded)

    def _known(self, scope: Scope) -> Scope:
        """`scope` with the visitor's own address in place of the last proxy's."""
        hops = [hop.strip() for hop in Headers(scope=scope).get("x-forwarded-for", "").split(",") if hop.strip()]
        if not self._proxies or len(hops) < self._proxies:
            return scope
        return {**scope, "client": (hops[-self._proxies][:64], 0)}


def is_closed(path: str) -> bool:
    """Whether nothing is served at this (decoded) path, whatever Gradio has there."""
    if path.startswith(_OURS):
        return False
    found = _GRADIO.search(path)
    if found:
        return found[1] not in _USED or found[2] == "="
    return _CLOSED.search(path) is not None


def visitor_of(scope: Scope | Mapping[str, Any]) -> str:
    """Who asks: the address of the visitor; all of an IPv6 network (/64, one household) are one."""
    client = scope.get("client")
    host = str(client[0]) if client else ""
    return ":".join(host.split(":")[:4]) if host.count(":") > 3 and "." not in host else host
