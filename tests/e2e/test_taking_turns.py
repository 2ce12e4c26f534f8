"""Several people at once, several takes, and an earlier comparison with its settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_page import WORK_MS, Server, choose_clip, open_page, open_settings, press
from playwright.sync_api import BrowserContext, Page, expect

pytestmark = pytest.mark.e2e


def settings(page: Page) -> None:
    """Open the settings, or close them."""
    open_settings(page)


def test_who_waits_is_told_their_place(new_context: Callable[..., BrowserContext], server: Server, clip: Path) -> None:
    """Two people work at once; the third and the fourth see how many are before them, and move up."""
    people = [open_page(new_context(), server.url) for _ in range(4)]
    for page in people:
        choose_clip(page, clip)
        settings(page)
        page.get_by_label("Length of the music (seconds)").fill("600")
    for page in people[:2]:
        page.click("#ms-both")
        page.wait_for_selector(".ms-track", timeout=WORK_MS)
    places = []
    for page in people[2:]:
        page.click("#ms-both")
        place = page.locator(".ms-progress-text").filter(has_text="before you")
        place.wait_for(timeout=WORK_MS)
        places.append(place.inner_text())
    assert places == ["1 person is before you", "2 people are before you"]

    people[0].get_by_role("button", name="Stop", exact=True).click()
    expect(people[3].locator(".ms-progress-text")).to_have_text("1 person is before you", timeout=WORK_MS)
    for page in people[1:]:
        page.get_by_role("button", name="Stop", exact=True).click()
    for page in people:
        page.wait_for_function("!document.body.classList.contains('ms-busy')", timeout=WORK_MS)
        assert page.locator(".ms-progress-text").inner_text().startswith("Stopped")


def test_takes_are_told_apart_and_a_comparison_comes_back_with_its_settings(
    page: Page, server: Server, clip: Path
) -> None:
    """Two takes of one caption are two soundtracks of different seeds; the history restores words, sounds, settings."""
    choose_clip(page, clip)
    settings(page)
    for title in ("Video", "Fusion", "Scene (MSI)"):
        page.get_by_role("checkbox", name=title, exact=True).uncheck()
    page.get_by_label("number input for Takes per caption").fill("2")
    page.get_by_label("Seed", exact=True).fill("41")
    page.get_by_role("checkbox", name="Keep this seed").check()
    press(page, "describe")
    page.get_by_label("Music caption", exact=True).fill("Quick folk music with fiddle and guitar, 120 BPM")
    press(page, "score")
    expect(page.locator(".ms-track h3")).to_have_text(["Music, take 1", "Music, take 2"])
    expect(page.locator(".ms-track-facts").nth(0)).to_contain_text("seed 41")
    expect(page.locator(".ms-track-facts").nth(1)).to_contain_text("seed 42")
    expect(page.locator(".ms-results")).to_contain_text("Profile: Sketch")
    urls = page.evaluate("window.musiscene.parts.player.props.value.tracks.map((track) => track.url)")
    first, second = (page.request.get(f"{server.url}/{url}").body() for url in urls)
    assert first != second

    page.reload()
    expect(page.locator(".ms-track[data-state=ready]")).to_have_count(2)
    page.get_by_role("button", name="Choose another clip").click()
    page.get_by_role("button", name="Open ").click()

    expect(page.locator(".ms-track[data-state=ready]")).to_have_count(2)
    expect(page.get_by_label("Music caption", exact=True)).to_have_value(
        "Quick folk music with fiddle and guitar, 120 BPM"
    )
    settings(page)
    expect(page.get_by_label("Seed", exact=True)).to_have_value("41")
    expect(page.get_by_role("checkbox", name="Keep this seed")).to_be_checked()
    expect(page.get_by_label("number input for Takes per caption")).to_have_value("2")
    expect(page.get_by_role("checkbox", name="Video", exact=True)).not_to_be_checked()


def test_a_page_that_is_reloaded_finds_its_work_going_on(page: Page, clip: Path) -> None:
    """Work belongs to the comparison: after a reload in the middle it is followed to its end."""
    choose_clip(page, clip)
    settings(page)
    page.get_by_label("Length of the music (seconds)").fill("60")
    page.click("#ms-both")
    page.wait_for_selector(".ms-track:not([data-state=ready])", timeout=WORK_MS)

    page.reload()

    expect(page.locator(".ms-track[data-state=ready]")).to_have_count(4, timeout=WORK_MS)
    page.wait_for_function("!document.body.classList.contains('ms-busy')", timeout=WORK_MS)
    expect(page.locator(".ms-progress-text")).not_to_contain_text("Stopped")
