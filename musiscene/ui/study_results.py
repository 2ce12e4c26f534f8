"""/results: how the studies go and what came out, behind a password; without one there is nothing at that address."""

from __future__ import annotations

import hashlib
import hmac
import html
import io
import logging
import secrets
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from musiscene.errors import MusisceneError, explain
from musiscene.study.database import Database

_log = logging.getLogger(__name__)

COOKIE = "musiscene_results"
SESSION_S = 12 * 3600
_TRIES_A_MINUTE = 10
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'",
}
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">
<meta name="color-scheme" content="light dark"><style>
:root{{--ink:#1c1b22;--quiet:#56545f;--paper:#fff;--line:#ddd;--link:#2f3f9f;--loud:#9a3412}}
@media (prefers-color-scheme:dark){{:root{{--ink:#ecebf1;--quiet:#b5b2bf;--paper:#17161c;--line:#3b3945;
--link:#aab6ff;--loud:#ffb088}}}}
body{{font:15px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1.2rem;color:var(--ink);
background:var(--paper)}}
h1{{font-size:1.6rem;line-height:1.3}}
input,button{{font:inherit;box-sizing:border-box;padding:.5rem .8rem;min-height:2.75rem}}
div{{overflow-x:auto}}table{{border-collapse:collapse}}
th,td{{text-align:left;padding:.4rem .9rem .4rem 0;border-bottom:1px solid var(--line);white-space:nowrap}}
.error{{color:var(--loud);font-weight:600}}.quiet{{color:var(--quiet)}}a{{color:var(--link)}}</style></head><body><main><h1>{title}</h1>{body}</main></body></html>"""


class Door:
    """Who may come in. A session is a signed time; the key to the signature lives as long as the server."""

    def __init__(self, password: str) -> None:
        self._password = password.encode()
        self._key = secrets.token_bytes(32)
        self._tries: list[float] = []
        self._lock = threading.Lock()

    def opens(self, password: str) -> bool:
        """Whether that is the password; too many tries close the door for a minute."""
        now = time.monotonic()
        with self._lock:
            self._tries = [tried for tried in self._tries if now - tried < 60]
            if len(self._tries) >= _TRIES_A_MINUTE:
                return False
            right = hmac.compare_digest(
                hashlib.sha256(password.encode()).digest(), hashlib.sha256(self._password).digest()
            )
            if not right:
                self._tries.append(now)
        return right

    def pass_for(self, now_s: float) -> str:
        """A cookie that opens the door until a while after `now_s`."""
        until = str(round(now_s + SESSION_S))
        return f"{until}.{self._sign(until)}"

    def admits(self, cookie: str, now_s: float) -> bool:
        """Whether a cookie is ours and still good."""
        until, _, signature = cookie.partition(".")
        good = hmac.compare_digest(self._sign(until).encode(), signature.encode())
        return good and until.isdigit() and now_s < int(until)

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()


def results_routes(database: Database, password: str) -> list[Route]:
    """The addresses of the results; none without a password."""
    if not password:
        return []
    door = Door(password)
    # A report takes seconds of a processor that participants need: one at a time.
    making = anyio.CapacityLimiter(1)

    def guarded(make: Callable[[Request], Response]) -> Callable[[Request], object]:
        async def endpoint(request: Request) -> Response:
            if not door.admits(request.cookies.get(COOKIE, ""), time.time()):
                return RedirectResponse("/results", 303, _HEADERS)
            try:
                return await anyio.to_thread.run_sync(make, request, limiter=making)
            except MusisceneError as error:
                return PlainTextResponse(str(error), 404, _HEADERS)
            except Exception as error:  # noqa: BLE001 - a defect becomes an id of the log, never a traceback
                return PlainTextResponse(explain(error, "making the results"), 500, _HEADERS)

        return endpoint

    async def index(request: Request) -> Response:
        if not door.admits(request.cookies.get(COOKIE, ""), time.time()):
            return _login()
        return await anyio.to_thread.run_sync(_index, database, limiter=making)

    async def login(request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=4, max_part_size=4096)
        given = form.get("password", "")
        if not isinstance(given, str) or not door.opens(given[:1000]):
            _log.warning("a wrong password at /results")
            return _login("That is not the password. After ten tries the door stays shut for a minute.", 403)
        response = RedirectResponse("/results", 303, _HEADERS)
        secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
        response.set_cookie(
            COOKIE, door.pass_for(time.time()), max_age=SESSION_S, httponly=True, samesite="strict", secure=secure
        )
        return response

    def report(request: Request) -> Response:
        from musiscene.study.analysis.frames import study_data
        from musiscene.study.analysis.report import html_report
        from musiscene.study.analysis.results import analyse

        data = study_data(database, request.path_params["name"])
        return HTMLResponse(html_report(analyse(data)), headers=_HEADERS)

    def archive(request: Request) -> Response:
        name = request.path_params["name"]
        return Response(
            _archive(database, name),
            media_type="application/zip",
            headers={**_HEADERS, "Content-Disposition": f'attachment; filename="{name}.zip"'},
        )

    return [
        Route("/results", index),
        Route("/results", login, methods=["POST"]),
        Route("/results/{name:str}", guarded(report)),
        Route("/results/{name:str}/data.zip", guarded(archive)),
    ]


def _login(error: str = "", status: int = 200) -> Response:
    told = f'<p class="error" role="alert">{html.escape(error)}</p>' if error else ""
    body = (
        f'{told}<form method="post" action="/results"><p><label for="password">Password</label></p>'
        '<p><input id="password" name="password" type="password" autocomplete="current-password" required> '
        "<button>Open</button></p></form>"
    )
    return HTMLResponse(_PAGE.format(title="Results of the studies", body=body), status, _HEADERS)


def _index(database: Database) -> Response:
    from musiscene.study.analysis.frames import study_data, study_names

    rows = []
    for name in study_names(database):
        data = study_data(database, name)
        people = data.participants
        main = data.ratings[data.ratings["kind"] == "trial"]
        cells = main.groupby(["item", "condition"]).size()
        balance = f"{cells.min()} to {cells.max()}" if len(cells) else "none yet"
        target = f" of {data.design.target_participants}" if data.design.target_participants else ""
        shown = html.escape(name)
        rows.append(
            f"<tr><th scope=row>{shown}</th><td><a href='/results/{shown}'>Report</a></td>"
            f"<td><a href='/results/{shown}/data.zip'>Data</a></td><td>{len(people)}</td>"
            f"<td>{int(people['finished'].sum())}{target}</td><td>{len(main)}</td><td>{balance}</td></tr>"
        )
    names = ("Study", "", "", "Arrived", "Finished", "Ratings", "Per soundtrack")
    head = "".join(f"<th scope=col>{name}</th>" if name else "<td></td>" for name in names)
    body = (
        f"<div><table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        "<p class=quiet>Per soundtrack: the fewest and the most ratings that one has so far. "
        "A report takes some seconds.</p>"
        if rows
        else "<p>There is no study yet.</p>"
    )
    return HTMLResponse(_PAGE.format(title="Results of the studies", body=body), headers=_HEADERS)


def _archive(database: Database, name: str) -> bytes:
    """Everything as files, and the report with its figures."""
    from musiscene.study.analysis.frames import study_data
    from musiscene.study.analysis.plots import figures, rendered
    from musiscene.study.analysis.report import html_report
    from musiscene.study.analysis.results import analyse
    from musiscene.study.exporting import export

    analysis = analyse(study_data(database, name))
    out = io.BytesIO()
    with TemporaryDirectory() as folder, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in export(database, name, Path(folder)):
            archive.write(path, path.name)
        archive.writestr("report.html", html_report(analysis))
        for title, draw in figures(analysis).items():
            archive.writestr(f"{title}.svg", rendered(draw, "svg"))
            archive.writestr(f"{title}.png", rendered(draw, "png"))
    return out.getvalue()
