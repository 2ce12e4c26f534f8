"""The real page in a real browser: one server for all tests, on folders of its own; one browser context a test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).parent))  # the tests of this folder share e2e_page.py

from e2e_page import (
    CHROMIUM,
    FLAGS,
    Server,
    choose_clip,
    open_page,
    press,
    running_server,
    short_clip,
    token_of,
)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The application, started as a Space starts it."""
    with running_server(tmp_path_factory.mktemp("server")) as server:
        yield server


expect.set_options(timeout=30_000)  # the page shares two cores with what it asked for


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, which plays what people upload."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def new_context(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """A factory of browsers of different people; every script error fails the test."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def make(**options: object) -> BrowserContext:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        context.set_default_timeout(30_000)
        context.on("weberror", lambda error: problems.append(str(error.error)))
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def page(new_context: Callable[..., BrowserContext], server: Server) -> Page:
    """The page on a desktop, as somebody meets it for the first time."""
    return open_page(new_context(), server.url)


@pytest.fixture(scope="session")
def clip() -> Path:
    """A short clip with sound."""
    return short_clip()


@pytest.fixture(scope="session")
def finished(server: Server, browser: Browser, clip: Path) -> str:
    """The token of a comparison with four captions and four soundtracks, made in the page by somebody else."""
    context = browser.new_context()
    page = open_page(context, server.url)
    choose_clip(page, clip)
    press(page, "both")
    token = token_of(page)
    context.close()
    return token
