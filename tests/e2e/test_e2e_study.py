"""A whole listening study in a real browser, with everything that people do to it."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e_page import REPOSITORY, barriers
from playwright.sync_api import BrowserContext, Page, expect

sys.path.insert(0, str(REPOSITORY / "tests" / "study"))

from small_study import small_bundle

from musiscene.study.analysis.frames import study_data
from musiscene.study.bundle import Bundle
from musiscene.study.database import Database

pytestmark = pytest.mark.e2e

LOOKS = [
    pytest.param({"viewport": {"width": 1280, "height": 900}}, id="desktop"),
    pytest.param({"viewport": {"width": 390, "height": 844}, "has_touch": True, "color_scheme": "dark"}, id="phone"),
]
SLOW_MS = 60_000


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Two videos of a second, one for practice, every check."""
    return small_bundle(tmp_path_factory.mktemp("study") / "frozen", items=2)


@pytest.fixture
def served(frozen: Bundle, tmp_path: Path) -> Iterator[tuple[str, Database]]:
    """`musiscene study serve` as a process, and its database."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"sqlite:///{tmp_path / 'study.db'}"
    command = [sys.executable, "-m", "musiscene", "study", "serve", str(frozen.folder), "--port", str(port)]
    environment = {**os.environ, "MUSISCENE_DATA_DIR": str(tmp_path)}
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL)
    try:
        for _ in range(6000):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/study/tiny", Database(url)
    finally:
        process.terminate()
        process.wait(timeout=20)


def everything_received(log: Path) -> bytes:
    """Addresses, headers and bodies of every response that the browser got, from its own record."""
    parts: list[bytes] = []
    for entry in json.loads(log.read_text("utf-8"))["log"]["entries"]:
        response = entry["response"]
        content = response["content"]
        text = content.get("text", "")
        body = base64.b64decode(text) if content.get("encoding") == "base64" else text.encode()
        parts += [entry["request"]["url"].encode(), json.dumps(response["headers"]).encode(), body]
    return b"\n".join(parts)


def heading(page: Page) -> str:
    """The heading of the page that is shown."""
    return page.locator("h1").inner_text()


def rate(page: Page, presses: int = 1, *, heard: bool = False) -> None:
    """Hear every soundtrack to the end and move every slider, by keyboard; what was `heard` before is not locked."""
    if "check that you read" not in heading(page):
        tracks = page.locator(".line button")
        for index in range(tracks.count()):
            expect(page.locator(".play")).to_be_enabled(timeout=SLOW_MS)
            if index == 0 and not heard:
                expect(page.locator(".slide input").nth(index)).to_be_disabled()
            tracks.nth(index).press("Enter")
            expect(page.locator(".state").nth(index)).to_have_class(re.compile("done"), timeout=SLOW_MS)
            expect(page.locator(".play")).to_have_text("Play", timeout=SLOW_MS)
    for slider in page.locator(".slide input").all():
        for _ in range(presses):
            slider.press("ArrowRight")


def next_page(page: Page, button: str = "Next") -> None:
    """Leave the page by its button, and wait for the following one."""
    before = page.locator("header").text_content() or ""
    page.get_by_role("button", name=button, exact=True).press("Enter")
    expect(page.locator("header")).not_to_have_text(before, timeout=SLOW_MS)


def to_first_trial(page: Page, address: str) -> None:
    """Consent, volume, headphones, practice."""
    page.goto(f"{address}?PROLIFIC_PID=5f0000000000000000000001&STUDY_ID=s1&SESSION_ID=x1&lang=en")
    page.get_by_role("button", name="I take part", exact=True).press("Enter")
    expect(page.locator("h1")).to_have_text("Set the volume", timeout=SLOW_MS)
    expect(page.get_by_role("button", name="Play")).to_be_enabled(timeout=SLOW_MS)
    assert barriers(page) == []
    page.get_by_role("button", name="Play").press("Enter")
    expect(page.get_by_role("button", name="Continue")).to_be_enabled(timeout=SLOW_MS)
    next_page(page, "Continue")
    for number in range(1, 7):
        expect(page.locator("h2")).to_have_text(f"Round {number} of 6", timeout=SLOW_MS)
        page.get_by_role("button", name="Play the three noises").press("Enter")
        expect(page.get_by_role("button", name="Noise 1")).to_be_enabled(timeout=SLOW_MS)
        if number == 2:
            assert barriers(page) == []
        page.get_by_role("button", name="Noise 1").press("Enter")
    expect(page.locator("h1")).to_have_text("Practice", timeout=SLOW_MS)
    rate(page)
    next_page(page)


@pytest.mark.parametrize("look", LOOKS)
def test_a_whole_study(
    new_context: Callable[..., BrowserContext],
    served: tuple[str, Database],
    frozen: Bundle,
    tmp_path: Path,
    look: dict[str, object],
) -> None:
    """By keyboard from consent to code. Reload, second tab, typed addresses change nothing; no barrier, no leak."""
    address, database = served
    log = tmp_path / "received.har"
    # Axe is put into the page by the test.
    context = new_context(bypass_csp=True, record_har_path=log, record_har_content="embed", **look)
    page = context.new_page()
    page.goto(address)
    expect(page.locator("h1")).to_have_text("Before you begin", timeout=SLOW_MS)
    assert barriers(page) == []
    to_first_trial(page, address)

    assert barriers(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= look["viewport"]["width"]  # type: ignore[index]
    rate(page, presses=3)
    place = page.locator("header").text_content() or ""
    page.reload()
    expect(page.locator("header")).to_have_text(place, timeout=SLOW_MS)
    expect(page.locator("output").first).to_have_text("53 · Fair", timeout=SLOW_MS)  # what was set is still set
    other = context.new_page()
    other.goto(address)
    expect(other.locator("header")).to_have_text(place, timeout=SLOW_MS)
    rate(page, heard=True)
    next_page(page)
    rate(other, presses=20, heard=True)
    other.get_by_role("button", name="Next", exact=True).press("Enter")
    expect(other.locator("#message")).to_contain_text("another tab", timeout=SLOW_MS)
    expect(other.locator("header")).to_have_text(page.locator("header").text_content() or "")
    other.close()
    for typed in ("/../../etc/passwd", "?page=9", "#step=9", "/api/save", "?PROLIFIC_PID=%3Cscript%3E"):
        page.goto(address + typed)
    page.goto(f"{address}?PROLIFIC_PID=5f0000000000000000000001")

    for _ in range(12):
        expect(page.locator("h1")).not_to_have_text("Loading …", timeout=SLOW_MS)
        title = heading(page)
        if title == "A few questions":
            break
        rate(page)
        next_page(page)
    assert barriers(page) == []
    page.get_by_label("How old are you?").fill("33")
    page.get_by_label("Anything else?").fill("<img src=x onerror=alert(1)>")
    page.get_by_role("button", name="Continue", exact=True).press("Enter")
    expect(page.locator("h1")).to_have_text("Thank you", timeout=SLOW_MS)
    expect(page.locator(".code")).to_have_text("C0DE")
    assert barriers(page) == []

    data = study_data(database, "tiny")
    mine = data.participants[data.participants["external_id"] == "5f0000000000000000000001"]
    assert list(mine["finished"]) == [True]
    main = data.ratings[data.ratings["kind"] == "trial"]
    assert main.groupby(["item", "condition"]).size().max() == 1
    assert (data.ratings[data.ratings["kind"].isin(("trial", "repeat"))]["listened_s"] > 0.8).all()
    context.close()
    told = everything_received(log)
    tracks = [track for item in frozen.items for track in item.tracks.values()]
    words = [*frozen.design.conditions, "secretclip", "anchor", *(track.file for track in tracks)]
    words += [track.sha256 for track in tracks] + [track.source["source_sha256"] for track in tracks]
    for word in words:
        assert word.encode() not in told, word
    assert told.count(b"fLaC") >= len(tracks) and b"ftyp" in told  # the media were among it


def test_another_language(new_context: Callable[..., BrowserContext], served: tuple[str, Database]) -> None:
    """A browser whose language the study does not have gets the study's first one."""
    page = new_context(locale="fr-FR").new_page()
    page.goto(served[0])

    expect(page.locator("h1")).to_have_text("Before you begin", timeout=SLOW_MS)
    assert page.evaluate("document.documentElement.lang") == "en"
