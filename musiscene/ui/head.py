"""What stands in the page's `<head>` before Gradio starts: our style, our script, and the language.

`launch(head=...)` is written into the page by Gradio's own script, after it has chosen a language and begun to draw; a
style that comes that late makes everything jump. So it is put into the document that is served.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from musiscene.ui.guarding import page_policy
from musiscene.ui.texts import GRADIO_LOCALES

_GRADIO_PAGE = b"window.gradio_config"

_CHOOSE_LANGUAGE = """
(() => {
  const here = LOCALES;
  let chosen = null;
  try { chosen = JSON.parse(localStorage.getItem("musiscene.language")); } catch { /* a private window */ }
  const wished = [chosen, ...navigator.languages].filter(Boolean).map((code) => code.toLowerCase().split("-")[0]);
  const code = wished.find((each) => each in here) ?? "en";
  window.musisceneLanguage = code;
  document.documentElement.lang = code;
  Object.defineProperty(navigator, "language", { value: here[code], configurable: true });
})();
""".replace("LOCALES", json.dumps(dict(GRADIO_LOCALES)))
"""Gradio asks the browser for its language; it is told what was chosen on the page, else what is preferred."""


def head(url: Callable[[str], str]) -> str:
    """Our part of the head; `url` gives the address of a script or style by its name."""
    return (
        '<meta name="color-scheme" content="light dark">'
        f"<script>{_CHOOSE_LANGUAGE}</script>"
        f'<link rel="stylesheet" href="{url("musiscene.css")}">'
        f'<script defer src="{url("musiscene.js")}"></script>'
    )


_OTHERS = ("/study/", "/results", "/gallery")
"""Pages that are not Gradio's: a participant gets nothing of the comparison page."""


class Head:
    """ASGI middleware that puts `text` behind `<head>` of Gradio's pages, and signs their scripts.

    Args:
        app: What serves the pages.
        text: Our part of the head.
        framed_by: Who may show the page in a frame.
    """

    def __init__(self, app: ASGIApp, text: str, framed_by: str = "'self'") -> None:
        self._app, self._text, self._framed_by = app, text.encode(), framed_by

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"].startswith(_OTHERS):
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        body = b""

        async def gather(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and _is_html(message):
                start = message
            elif start is None:
                await send(message)
            elif message["type"] == "http.response.body":
                body += message.get("body", b"")
                if not message.get("more_body"):
                    await self._send(start, body, send)

        await self._app(scope, receive, gather)

    async def _send(self, start: Message, body: bytes, send: Send) -> None:
        headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        if _GRADIO_PAGE in body:
            nonce = secrets.token_urlsafe(16)
            body = body.replace(b"<head>", b"<head>" + self._text, 1)
            # What a person wrote stands in the page's data only, where `<` is written as an escape.
            body = body.replace(b"<script", f'<script nonce="{nonce}"'.encode())
            headers.append((b"content-security-policy", page_policy(nonce, self._framed_by).encode()))
        headers.append((b"content-length", str(len(body)).encode()))
        await send({**start, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _is_html(message: Message) -> bool:
    kinds = [value for name, value in message["headers"] if name.lower() == b"content-type"]
    return bool(kinds) and kinds[0].startswith(b"text/html")
