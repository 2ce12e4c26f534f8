"""The verbs as MCP tools, by the protocol's own client over HTTP against the running page; and the OpenAPI page."""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from musiscene.ui.contracts import VERBS
from musiscene.ui.endpoints import Endpoints
from musiscene.ui.openapi import document

ROOT = Path(__file__).parents[2]
CLIP = ROOT / "assets" / "examples" / "shapes.mp4"
KEY = "first-key"

slow = pytest.mark.slow


@pytest.fixture(scope="module")
def address(run_page: Callable[..., str]) -> str:
    """A running page that wants a key; of the second key four calls an hour are used by nobody."""
    return run_page(api_keys=f"{KEY}, other-key", api_per_hour=12).rstrip("/")


def with_client(address: str, work: Callable[[Client], Awaitable[Any]], key: str = KEY, **headers: str) -> Any:
    """What `work` returns of a connected client."""

    async def run() -> Any:
        sent = {**headers, "Authorization": f"Bearer {key}"} if key else headers
        async with (
            httpx2.AsyncClient(headers=sent, timeout=120) as http,
            Client(streamable_http_client(f"{address}/gradio_api/mcp", http_client=http)) as client,
        ):
            return await work(client)

    return asyncio.run(run())


def inline(path: Path) -> str:
    return f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode()}"


@slow
def test_the_tools_are_the_verbs_with_words_and_types(address: str) -> None:
    """Each says what it does, what it takes and what it returns; no key is wanted to read that."""
    tools = with_client(address, lambda client: client.list_tools(), key="").tools
    assert [tool.name for tool in tools] == ["describe", "score", "compare", "rate"]
    for tool in tools:
        assert len(tool.description) > 40
        assert tool.input_schema["required"]
        assert all(field["description"] for field in tool.input_schema["properties"].values())
        assert tool.output_schema["properties"]
    assert [tool.annotations.read_only_hint for tool in tools] == [True, True, True, False]


@slow
def test_a_clip_is_described_compared_and_rated(address: str) -> None:
    """By tools alone: the content once, then its token; progress on the way; the files can be fetched as told."""
    notes: list[str] = []

    async def progress(done: float, total: float | None, note: str | None) -> None:
        assert total is not None
        assert 0 <= done <= total
        notes.append(str(note))

    async def work(client: Client) -> tuple[Any, Any, Any]:
        described = await client.call_tool("describe", {"clip": inline(CLIP), "kinds": ["video"]})
        token = described.structured_content["token"]
        wanted = {"clip": token, "kinds": ["video", "msi"], "seed": 3, "duration_s": 4}
        compared = await client.call_tool("compare", wanted, progress_callback=progress)
        made = compared.structured_content
        rating = {"token": made["token"], "track": made["renditions"][0]["track"], "score": 77, "person": "somebody-1"}
        return described, compared, await client.call_tool("rate", rating)

    described, compared, rated = with_client(address, work)
    assert not described.is_error
    assert "shots" in described.structured_content["captions"]["video"]["evidence"]
    assert json.loads(described.content[0].text) == described.structured_content
    renditions = compared.structured_content["renditions"]
    assert [made["kind"] for made in renditions] == ["video", "msi"]
    assert "2 of 2 captions; 2 of 2 soundtracks" in notes
    for made in renditions:
        assert made["video"].startswith(address)
        assert httpx.get(made["video"], timeout=60).headers["content-type"] == "video/mp4"
    assert rated.structured_content["score"] == 77


@slow
def test_words_become_a_soundtrack(address: str) -> None:
    """A WAV at an address that is open to whoever has it."""
    asked = {"text": "a calm waltz", "duration_s": 2, "seed": 1}
    made = with_client(address, lambda client: client.call_tool("score", asked)).structured_content
    assert made["duration_s"] == 2
    assert httpx.get(made["audio"], timeout=60).content[:4] == b"RIFF"


@slow
@pytest.mark.parametrize(
    ("tool", "asked", "words"),
    [
        ("score", {"text": ""}, "score cannot be used (text)"),
        ("score", {"text": "calm", "duration_s": "long"}, "'long' is not of type 'number'"),
        ("score", {}, "'text' is a required property"),
        ("describe", {"clip": "/etc/passwd"}, "Upload the clip first"),
        ("describe", {"clip": "data:video/mp4;base64,%%"}, "no base64"),
        ("describe", {"clip": "data:video/mp4;base64,aGVsbG8="}, "clip"),
        ("compare", {"clip": "x", "kinds": ["smell"]}, "'smell' is not one of"),
        ("rate", {"token": "no-such-token-0000", "track": "t", "score": 1, "person": "somebody-1"}, "."),
        ("delete", {}, "There is no tool 'delete'. Choose one of: describe, score"),
    ],
)
def test_what_is_wrong_is_a_sentence_and_no_protocol_error(
    address: str, tool: str, asked: dict[str, Any], words: str
) -> None:
    """A model can read it and do better."""
    answer = with_client(address, lambda client: client.call_tool(tool, asked), key="other-key")
    assert answer.is_error
    assert words in answer.content[0].text
    assert "Traceback" not in answer.content[0].text


@slow
@pytest.mark.parametrize("key", ["", "first", "first-key, other-key"])
def test_a_wrong_key_is_refused_in_words(address: str, key: str) -> None:
    """As at the other endpoints; nothing is made."""
    answer = with_client(address, lambda client: client.call_tool("score", {"text": "calm", "duration_s": 1}), key=key)
    assert answer.is_error
    assert "This installation wants a key" in answer.content[0].text


@slow
def test_tools_and_endpoints_share_the_calls_of_an_hour(address: str) -> None:
    """Whoever has used them up at one door finds the other one closed."""
    wrong = {"clip": "/etc/passwd"}

    async def work(client: Client) -> str:
        for _ in range(13):
            answer = await client.call_tool("describe", wrong)
        return str(answer.content[0].text)

    assert "12 calls an hour" in with_client(address, work)
    started = httpx.post(
        f"{address}/gradio_api/call/v2/score", json={"text": "calm", "duration_s": 1},
        headers={"Authorization": f"Bearer {KEY}"}, timeout=60,
    ).json()  # fmt: skip
    events = httpx.get(f"{address}/gradio_api/call/score/{started['event_id']}", timeout=60).text
    assert "event: error" in events
    assert "12 calls an hour" in events


@slow
def test_a_page_of_another_site_cannot_use_the_tools(address: str) -> None:
    """A browser says where a script came from; a person who opens the address is told what it is for."""
    refused = httpx.post(f"{address}/gradio_api/mcp", json={}, headers={"Origin": "https://example.org"}, timeout=60)
    assert refused.status_code == 403
    assert "Model Context Protocol" in httpx.get(f"{address}/gradio_api/mcp", timeout=60).text


@slow
def test_without_the_package_the_page_runs_and_says_what_to_install(tmp_path: Path) -> None:
    """In a process where `mcp` cannot be imported: the address answers with the command."""
    code = f"""
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "mcp" else find(name, package)
sys.modules["mcp"] = None
from dataclasses import replace
from pathlib import Path
import httpx
from musiscene.settings import Settings
from musiscene.ui import launch_app
folder = Path({str(tmp_path)!r})
settings = replace(Settings(), data_dir=folder / "d", work_dir=folder / "w", port=17860, profile="sketch")
app = launch_app(settings, block=False)
answer = httpx.post(app.local_url + "gradio_api/mcp", json={{}}, timeout=60)
print(answer.status_code, answer.text)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert "501 The MCP server needs a package" in done.stdout, done.stderr[-500:]
    assert "pip install 'musiscene[mcp]'" in done.stdout


@slow
def test_the_page_does_not_import_mcp() -> None:
    """It takes half a second that nobody who opens the page should wait for."""
    code = "import sys, musiscene.ui; print('mcp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_contracts_are_those_of_the_endpoints() -> None:
    """Names, order, and defaults of each verb are those of the function that Gradio calls."""
    for verb in VERBS:
        function = inspect.signature(getattr(Endpoints, verb.name))
        own = {name: p for name, p in function.parameters.items() if name not in ("self", "request")}
        assert list(own) == list(verb.parameters)
        for name, parameter in own.items():
            assert verb.parameters[name].required == (parameter.default is parameter.empty)
            if not verb.parameters[name].required:
                assert verb.parameters[name].schema["default"] == parameter.default


def test_examples_are_of_the_documented_types() -> None:
    """Every example request and result fits its own schema."""
    from jsonschema import Draft202012Validator

    for verb in VERBS:
        example = {name: parameter.example for name, parameter in verb.parameters.items()}
        Draft202012Validator(verb.arguments()).validate(example)
        Draft202012Validator(verb.answer()).validate(json.loads(json.dumps(dict(verb.example))))


def test_the_description_names_every_address() -> None:
    """Each verb has a start and its events, each with an id of its own, and a schema of its result."""
    described = document()
    operations = [operation for path in described["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for verb in VERBS:
        assert f"/gradio_api/call/v2/{verb.name}" in described["paths"]
        assert f"/gradio_api/call/{verb.name}/{{event_id}}" in described["paths"]
        assert f"{verb.name.capitalize()}Result" in described["components"]["schemas"]


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action")]


@slow
def test_the_page_for_people_fetches_nothing(address: str) -> None:
    """No script, no address of another host; its policy would not allow any either."""
    answer = httpx.get(f"{address}/api", timeout=60)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    links = _Links()
    links.feed(answer.text)
    assert {link for link in links.addresses if not link.startswith("#")} == {"openapi.json"}
    assert "<script" not in answer.text
    assert httpx.get(f"{address}/openapi.json", timeout=60).json() == document()
