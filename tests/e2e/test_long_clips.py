"""Moments of a long clip, long captions, clips that a browser cannot play, and what the machine can run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_page import (
    BRIEF,
    LONG_CAPTION,
    Server,
    barriers,
    choose_clip,
    copy_with_long_words,
    open_finished,
    open_page,
    open_settings,
)
from playwright.sync_api import BrowserContext, Page, expect

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def long_words(server: Server, finished: str) -> str:
    """A comparison as captioners for long clips leave it."""
    return copy_with_long_words(server, finished)


@pytest.mark.parametrize("width", [390, 1280])
def test_moments_are_on_the_timeline_and_lead_to_their_time(
    new_context: Callable[..., BrowserContext], server: Server, long_words: str, width: int
) -> None:
    """Each part is a field under the waveform, large enough to press; its words are shown where the music is."""
    page = open_page(new_context(viewport={"width": width, "height": 900}), server.url)
    open_finished(page, server.url, long_words)
    fields = page.locator(".ms-moment-field")
    expect(fields).to_have_count(6)
    boxes = [field.bounding_box() for field in fields.all()]
    assert all(box is not None and box["width"] >= 24 and box["height"] >= 24 for box in boxes)

    fields.nth(2).click()

    start_s = page.evaluate("window.musiscene.parts.player.props.value.windows[2].start_s")
    assert abs(page.evaluate("window.musiscene.switcher.position") - start_s) < 0.05
    expect(fields.nth(2)).to_have_attribute("aria-current", "true")
    expect(page.locator(".ms-moment-now")).to_have_text("A skyline at night, with a thousand lit windows.")
    size_px = page.locator(".ms-moment-now").evaluate("(element) => parseFloat(getComputedStyle(element).fontSize)")
    assert size_px >= 14
    assert page.evaluate("document.documentElement.scrollWidth") <= width

    card = page.locator(".ms-card.ms-kind-video")
    card.locator("summary", has_text="Moments").click()
    expect(card).to_contain_text("6 of 14 parts were looked at.")
    card.locator(".ms-moment").nth(1).click()
    expect(fields.nth(1)).to_have_attribute("aria-current", "true")
    assert barriers(page, grave=True) == []


def test_a_long_caption_shows_where_it_is_cut_and_offers_its_brief(
    new_context: Callable[..., BrowserContext], server: Server, long_words: str
) -> None:
    """The mark and what lies behind it are in the card; the brief is taken with one press, and given back with one."""
    page = open_page(new_context(), server.url)
    open_finished(page, server.url, long_words)
    area = page.get_by_label("Fusion caption", exact=True)
    card = page.locator(".ms-card.ms-kind-fusion")
    expect(card.locator(".ms-reading")).to_contain_text("MusicGen reads no further than this mark")
    expect(card.locator(".ms-unread")).to_contain_text("piano.")

    page.get_by_role("button", name="Use the brief").click()

    expect(area).to_have_value(BRIEF)
    expect(card.locator(".ms-reading")).to_contain_text("The whole caption is kept")
    page.get_by_role("button", name="Undo the edit").click()
    expect(area).to_have_value(LONG_CAPTION)
    expect(page.get_by_role("button", name="Use the brief")).to_be_visible()


def test_what_a_browser_cannot_play_is_shown_as_a_picture(page: Page, make_media: Callable[..., Path]) -> None:
    """AVI has no preview in a browser: a picture of the clip stands there, with a sentence."""
    choose_clip(page, make_media("holiday.avi", codec="mpeg4", duration_s=1.0, size=(160, 90)))

    page.wait_for_function("document.querySelector('.ms-poster')?.naturalWidth === 160")
    expect(page.locator(".ms-clip-picture")).to_contain_text("cannot play holiday.avi")


def test_the_machine_s_facts_and_the_profiles_are_told(page: Page, server: Server) -> None:
    """Every engine with its cost, licence and next step, and no path of the server."""
    open_settings(page)
    expect(page.get_by_label("Sketch (runs here)")).to_be_checked()
    page.locator(".ms-machine-fold summary").click()

    machine = page.locator(".ms-machine")
    expect(machine).to_contain_text("2.4 GB to download")
    expect(machine).to_contain_text("musiscene weights download musicgen-small")
    assert str(server.data_dir) not in machine.inner_text()
    assert barriers(page, grave=True) == []
