"""The panel of measured scores under the players, in a browser."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from e2e_page import WORK_MS, Server, open_finished, open_page
from playwright.sync_api import BrowserContext, expect

pytestmark = pytest.mark.e2e


def test_scores_are_measured_when_they_are_asked_for(
    new_context: Callable[..., BrowserContext], server: Server, finished: str
) -> None:
    """Nothing before the panel is opened; then what needs no weights, and where the weights of the rest are."""
    page = open_page(new_context(), server.url)
    open_finished(page, server.url, finished)
    panel = page.locator("#ms-scores")
    table = page.locator("#ms-scores-table")
    expect(panel).to_be_visible()
    expect(table).not_to_be_visible()
    assert page.locator(".ms-player").evaluate(
        "(player) => Boolean(player.compareDocumentPosition(document.getElementById('ms-scores')) & 4)"
    ), "the panel stands after the players"

    panel.get_by_role("button").first.click()
    expect(panel).to_contain_text("Fréchet audio distance (FAD) compares sets of many clips")
    expect(table.locator("tbody tr")).to_have_count(4, timeout=WORK_MS)
    expect(table).to_contain_text("musiscene weights download clap-music", timeout=WORK_MS)
    expect(table).to_contain_text("musiscene weights download passt-20s")
    expect(table.locator("thead")).to_contain_text("Energy follows motion")
    expect(table.locator("thead")).not_to_contain_text("CLAP")
    for row in table.locator("tbody tr").all():
        expect(row).to_have_text(re.compile(r"[+−]\d\.\d\d"))
