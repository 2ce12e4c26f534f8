"""The endpoints written down: `/openapi.json` for programs, and `/api`, a page for people that fetches nothing.

FastAPI's own pages load their script from another host, and Gradio's description knows no types of results.
"""

from __future__ import annotations

import json
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from musiscene.palette import ACCENTS
from musiscene.types import CaptionKind
from musiscene.ui.contracts import VERBS, Verb
from musiscene.ui.desk import app_version
from musiscene.ui.tools import ROUTE as TOOLS_ROUTE

DOCUMENT_ROUTE, PAGE_ROUTE = "/openapi.json", "/api"

_STREAM = (
    "Server-sent events. `generating` brings a document with `progress`, `complete` the result; the `data` of both is "
    "a list with one document. `error` brings one sentence, `heartbeat` nothing."
)
_CALLS = "POST the arguments, take `event_id` from the answer, and read the events of that id."


def document() -> dict[str, Any]:
    """The description in the layout of OpenAPI 3.1."""
    paths: dict[str, Any] = {
        "/gradio_api/upload": {
            "post": {
                "operationId": "upload",
                "summary": "Upload a clip",
                "description": "Files are known by the path that comes back, and removed after a time.",
                "tags": ["clips"],
                "requestBody": {
                    "required": True,
                    "content": {
                        "multipart/form-data": {
                            "schema": {
                                "type": "object",
                                "properties": {"files": {"type": "string", "format": "binary"}},
                                "required": ["files"],
                            }
                        }
                    },
                },
                "responses": {
                    "200": _json_answer({"type": "array", "items": {"type": "string"}}, ["/tmp/gradio/3f…/clip.mp4"])
                },
            }
        }
    }
    for verb in VERBS:
        paths[f"/gradio_api/call/v2/{verb.name}"] = {"post": _start(verb)}
        paths[f"/gradio_api/call/{verb.name}/{{event_id}}"] = {"get": _follow(verb)}
    for kind, about in (("media", "of a comparison"), ("score", "that `score` made")):
        paths[f"/musiscene/{kind}/{{token}}/{{name}}"] = {
            "get": {
                "operationId": f"{kind}File",
                "summary": f"A file {about}",
                "tags": ["results"],
                "parameters": [_in_path("token"), _in_path("name")],
                "responses": {"200": {"description": "The file."}, "404": {"description": "There is none."}},
            }
        }
    paths[TOOLS_ROUTE] = {
        "post": {
            "operationId": "tools",
            "summary": "The same verbs as tools of the Model Context Protocol (Streamable HTTP)",
            "tags": ["tools"],
            "responses": {
                "200": {"description": "As the protocol says."},
                "501": {"description": "The package `mcp` is not installed here."},
            },
        }
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "MusiScene",
            "version": app_version(),
            "description": "Captions of videos and music, and background music from words.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": {f"{verb.name.capitalize()}Result": verb.answer() for verb in VERBS},
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Only where the installation has keys (MUSISCENE_API_KEYS).",
                }
            },
        },
        "security": [{}, {"key": []}],
    }


def _start(verb: Verb) -> dict[str, Any]:
    example = {name: parameter.example for name, parameter in verb.parameters.items()}
    return {
        "operationId": verb.name,
        "summary": verb.title,
        "description": f"{verb.about} {_CALLS}",
        "tags": ["verbs"],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": verb.arguments(), "example": example}},
        },
        "responses": {
            "200": _json_answer(
                {"type": "object", "properties": {"event_id": {"type": "string"}}}, {"event_id": "b1946ac9…"}
            )
        },
    }


def _follow(verb: Verb) -> dict[str, Any]:
    shown = f"event: complete\ndata: {json.dumps([dict(verb.example)], ensure_ascii=False)}\n\n"
    if verb.steps:
        shown = f'event: generating\ndata: [{{"progress": …}}]\n\n{shown}'
    return {
        "operationId": f"{verb.name}Events",
        "summary": f"{verb.title}: progress and result",
        "description": f"{_STREAM} The result is a `{verb.name.capitalize()}Result`.",
        "tags": ["verbs"],
        "parameters": [_in_path("event_id")],
        "responses": {
            "200": {
                "description": _STREAM,
                "content": {"text/event-stream": {"schema": {"type": "string"}, "example": shown}},
            }
        },
    }


def _json_answer(schema: dict[str, Any], example: Any) -> dict[str, Any]:
    return {"description": "As described.", "content": {"application/json": {"schema": schema, "example": example}}}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def openapi_routes() -> list[Route]:
    """The addresses of the description and of its page."""
    page = _page()

    def described(request: Request) -> Response:
        return JSONResponse(document(), headers={"Access-Control-Allow-Origin": "*"})

    def shown(request: Request) -> Response:
        policy = (
            "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return HTMLResponse(page, headers={"Content-Security-Policy": policy})

    return [Route(DOCUMENT_ROUTE, described), Route(PAGE_ROUTE, shown)]


# -- the page ----------------------------------------------------------------------------------------------------------

_ACCENT = ACCENTS[CaptionKind.VIDEO]
_STYLE = f"""
:root {{ color-scheme: light dark; --ink: #1c2430; --soft: #566070; --line: #d9dee6; --back: #fff; --code: #f3f5f8;
  --accent: {_ACCENT.light}; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e8ecf2; --soft: #a5afbd; --line: #333c49; --back: #12161c;
  --code: #1b212a; --accent: {_ACCENT.dark}; }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: var(--back); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; }}
main {{ max-width: 54rem; margin: 0 auto; padding: 2rem 1.25rem 5rem; }}
h1 {{ margin: 0 0 .25rem; font-size: 1.7rem; }}
h2 {{ margin: 3rem 0 .25rem; padding-top: 1.25rem; border-top: 1px solid var(--line); font-size: 1.3rem; }}
h2 code {{ color: var(--accent); background: none; padding: 0; }}
h3 {{ margin: 1.5rem 0 .4rem; font-size: 1rem; }}
p {{ margin: .4rem 0; }}
.soft {{ color: var(--soft); }}
nav ul {{ display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0; list-style: none; }}
a {{ color: var(--accent); }}
code, pre {{ font: .875rem/1.5 ui-monospace, Menlo, Consolas, monospace; background: var(--code); border-radius: 4px; }}
code {{ padding: .1rem .3rem; }}
pre {{ padding: .9rem 1rem; overflow-x: auto; }}
pre code {{ padding: 0; background: none; }}
.table {{ overflow-x: auto; }}
table {{ width: 100%; border-collapse: collapse; }}
th, td {{ padding: .45rem .75rem .45rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }}
th {{ font-weight: 600; color: var(--soft); font-size: .875rem; }}
td:first-child {{ white-space: nowrap; }}
"""


def _page() -> str:
    links = "".join(f'<li><a href="#{verb.name}">{verb.name}</a></li>' for verb in VERBS)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>MusiScene for programs</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main><h1>MusiScene for programs</h1>"
        '<p class="soft">Four verbs, three ways: <code>gradio_client</code>, plain HTTP, and tools of the Model '
        f"Context Protocol at <code>{TOOLS_ROUTE}</code>. "
        'All of it for machines: <a href="openapi.json">openapi.json</a>.</p>'
        f'<nav aria-label="Verbs"><ul>{links}<li><a href="#http">over HTTP</a></li>'
        '<li><a href="#keys">keys and limits</a></li></ul></nav>'
        f"{''.join(_section(verb) for verb in VERBS)}{_over_http()}{_KEYS}</main></body></html>"
    )


def _section(verb: Verb) -> str:
    rows = "".join(
        f"<tr><td><code>{name}</code>{'' if parameter.required else ' <span class=soft>optional</span>'}</td>"
        f"<td>{escape(_type(parameter.schema))}</td><td>{escape(parameter.about)}</td></tr>"
        for name, parameter in verb.parameters.items()
    )
    results = "".join(
        f"<tr><td><code>{name}</code></td><td>{escape(_type(schema))}</td>"
        f"<td>{escape(str(schema.get('description', '')))}</td></tr>"
        for name, schema in verb.result.items()
    )
    shown = json.dumps(dict(verb.example), ensure_ascii=False, indent=2)
    return (
        f'<section id="{verb.name}" aria-labelledby="{verb.name}-title">'
        f'<h2 id="{verb.name}-title"><code>{verb.name}</code> {escape(verb.title)}</h2><p>{escape(verb.about)}</p>'
        f"<h3>Takes</h3>{_table('Argument', rows)}"
        f"<h3>With gradio_client</h3><pre tabindex=0><code>{escape(_python(verb))}</code></pre>"
        f"<h3>Returns</h3>{_table('Field', results)}<pre tabindex=0><code>{escape(shown)}</code></pre></section>"
    )


def _table(first: str, rows: str) -> str:
    head = f'<tr><th scope="col">{first}</th><th scope="col">Type</th><th scope="col">Meaning</th></tr>'
    return f'<div class="table" tabindex=0><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


def _type(schema: Any) -> str:
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"]) + _default(schema)
    names = schema.get("type", "any")
    names = [names] if isinstance(names, str) else list(names)
    words = " or ".join(name for name in names if name != "null")
    if "array" in names:
        inner = schema.get("items", {})
        words = f"list of {'names' if 'enum' in inner else inner.get('type', 'any')}"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        words += f", {low:g} to {high:.10g}"
    return words + _default(schema)


def _default(schema: Any) -> str:
    default = schema.get("default")
    return "" if default is None else f"; {json.dumps(default)} by default"


def _python(verb: Verb) -> str:
    given = [
        'handle_file("clip.mp4")' if name == "clip" else f"{name}={parameter.example!r}"
        for name, parameter in verb.parameters.items()
        if parameter.required or name in ("kinds", "duration_s")
    ]
    call = ", ".join([*given, f'api_name="/{verb.name}"'])
    return f"from gradio_client import Client, handle_file\n\nclient = Client(ADDRESS)\nresult = client.predict({call})"


def _over_http() -> str:
    lines = (
        'curl -F "files=@clip.mp4" "$ADDRESS/gradio_api/upload"',
        '# ["PATH"]',
        'curl -H "Content-Type: application/json" "$ADDRESS/gradio_api/call/v2/describe" \\',
        '  -d \'{"clip": {"path": "PATH", "meta": {"_type": "gradio.FileData"}}, "kinds": ["video"]}\'',
        '# {"event_id": "ID"}',
        'curl -N "$ADDRESS/gradio_api/call/describe/ID"',
    )
    return (
        '<section id="http" aria-labelledby="http-title"><h2 id="http-title">Over HTTP</h2>'
        f"<p>{escape(_CALLS)} {escape(_STREAM).replace('`', '')}</p>"
        f"<pre tabindex=0><code>{escape(chr(10).join(lines))}</code></pre></section>"
    )


_KEYS = (
    '<section id="keys" aria-labelledby="keys-title"><h2 id="keys-title">Keys and limits</h2><p>Where the installation '
    "has keys, send one as <code>Authorization: Bearer KEY</code>. Calls an hour are limited for each key, or, without "
    "keys, for each address. What is wrong comes back as one sentence.</p></section>"
)
