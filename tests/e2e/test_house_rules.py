"""What must hold of the page at any time: no other host, no barrier, no broken layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from e2e_page import WORK_MS, Server, barriers, open_finished, open_page, open_settings
from playwright.sync_api import BrowserContext, expect

pytestmark = pytest.mark.e2e

LOOKS = [
    pytest.param({"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"}, id="desktop-light"),
    pytest.param({"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"}, id="desktop-dark"),
    pytest.param({"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "has_touch": True}, id="phone"),
]


@pytest.mark.parametrize("look", LOOKS)
def test_no_barriers(
    new_context: Callable[..., BrowserContext], server: Server, finished: str, look: dict[str, object]
) -> None:
    """axe-core finds nothing serious when empty, with the settings open, and with results."""
    page = open_page(new_context(**look), server.url)
    assert barriers(page, grave=True) == []
    open_settings(page)
    expect(page.get_by_label("Seed", exact=True)).to_be_visible()
    assert barriers(page, grave=True) == []
    open_finished(page, server.url, finished)
    for fold in page.locator("details:visible > summary").all():
        fold.click()
    assert barriers(page, grave=True) == []


def test_no_barriers_on_the_page_for_programs(new_context: Callable[..., BrowserContext], server: Server) -> None:
    """axe-core finds nothing serious in the endpoints' page, folds open, light and dark."""
    for look in ("light", "dark"):
        page = new_context(color_scheme=look).new_page()
        page.goto(f"{server.url}/api")
        for fold in page.locator("details:visible > summary").all():
            fold.click()
        assert barriers(page, grave=True) == []


def test_no_barriers_in_the_states_that_are_no_one_s_wish(
    new_context: Callable[..., BrowserContext], server: Server, tmp_path: Path
) -> None:
    """axe-core finds nothing serious in errors, a silent clip, work under way, results that are gone, and offline."""
    page = open_page(new_context(color_scheme="dark"), server.url)
    page.click("#ms-both")
    page.wait_for_selector(".ms-progress .ms-error:visible")
    (tmp_path / "letter.mp4").write_bytes(b"no film" * 99)
    page.set_input_files("#ms-clip-file", str(tmp_path / "letter.mp4"))
    page.wait_for_selector(".ms-source .ms-error:visible")
    assert barriers(page, grave=True) == []
    page.locator(".ms-example").filter(has_text="silent").click()
    page.wait_for_selector(".ms-clip .ms-facts dd")
    page.click("#ms-describe")
    page.wait_for_selector(".ms-card[data-state=working]", timeout=WORK_MS)
    assert barriers(page, grave=True) == []
    page.locator(".ms-card.ms-kind-msi .ms-imagine summary").click(timeout=WORK_MS)
    page.wait_for_function("!document.body.classList.contains('ms-busy')", timeout=WORK_MS)
    page.locator(".ms-ask-missing summary").click()
    assert barriers(page, grave=True) == []
    page.goto(f"{server.url}/?c={'x' * 22}")
    page.wait_for_selector(".ms-source .ms-error:visible")
    page.context.set_offline(True)
    page.wait_for_selector(".ms-offline:visible")
    assert barriers(page, grave=True) == []


@pytest.mark.parametrize("width", [320, 768, 1920])
def test_nothing_is_wider_than_the_screen(
    new_context: Callable[..., BrowserContext], server: Server, finished: str, width: int
) -> None:
    """No sideways scrolling from phone to wide screen, with results."""
    page = open_page(new_context(viewport={"width": width, "height": 900}), server.url)
    open_finished(page, server.url, finished)

    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_no_other_host_is_asked(new_context: Callable[..., BrowserContext], server: Server, finished: str) -> None:
    """Every request goes to the page's own server, fonts and scripts included."""
    context = new_context()
    hosts: set[str] = set()
    context.route("**/*", lambda route: (hosts.add(urlsplit(route.request.url).netloc), route.continue_()))
    page = open_page(context, server.url)
    open_finished(page, server.url, finished)
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_timeout(500)

    assert hosts - {""} == {urlsplit(server.url).netloc}


def test_offline_is_said_and_listening_goes_on(
    new_context: Callable[..., BrowserContext], server: Server, finished: str
) -> None:
    """Without a connection the page says so, and what is here still plays and switches."""
    context = new_context()
    page = open_page(context, server.url)
    open_finished(page, server.url, finished)

    context.set_offline(True)

    expect(page.locator(".ms-offline")).to_contain_text("offline")
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function("window.musiscene.switcher.position > 0.3")
    page.keyboard.press("2")
    expect(page.locator(".ms-choice[aria-pressed=true] kbd")).to_have_text("2")
    context.set_offline(False)
    expect(page.locator(".ms-offline")).to_be_hidden()


def test_motion_is_reduced_where_it_is_asked_for(new_context: Callable[..., BrowserContext], server: Server) -> None:
    """Nothing slides or fades for people who asked for less motion."""
    page = open_page(new_context(reduced_motion="reduce"), server.url)

    duration = page.evaluate("getComputedStyle(document.querySelector('.ms-progress progress')).animationDuration")

    assert float(duration.removesuffix("s")) < 0.001
