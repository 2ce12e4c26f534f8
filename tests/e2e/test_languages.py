"""The page in Spanish and Chinese: Gradio's components, our own parts, and what the server says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from e2e_page import Server, barriers, open_finished, open_page
from playwright.sync_api import BrowserContext, expect

from musiscene.ui.texts import GRADIO_LOCALES, LANGUAGES

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(("locale", "language"), [("es-MX", "es"), ("zh-CN", "zh"), ("fr-FR", "en")])
def test_the_page_speaks_the_browser_s_language(
    new_context: Callable[..., BrowserContext], server: Server, finished: str, locale: str, language: str
) -> None:
    """Buttons, labels, choices, parts, answers of the server: one language; no barrier and nothing too wide in it."""
    texts = LANGUAGES[language]
    page = open_page(new_context(locale=locale, viewport={"width": 390, "height": 844}), server.url)
    expect(page.locator("html")).to_have_attribute("lang", GRADIO_LOCALES[language])
    expect(page.locator("#ms-both")).to_have_text(texts["both"])
    expect(page.locator(".ms-drop-title")).to_have_text(texts["drop_title"])
    expect(page.locator(".ms-progress-text")).to_have_text(texts["idle_empty"])
    expect(page.locator("footer").get_by_role("link", name=texts["programs"])).to_have_attribute("href", "api")

    page.click("#ms-both")
    expect(page.locator(".ms-progress .ms-error")).to_have_text(texts["need_clip"])
    page.get_by_text(texts["settings"], exact=True).click()
    expect(page.get_by_role("checkbox", name=texts["kind_music"], exact=True)).to_be_visible()
    expect(page.get_by_label(texts["mix_duck"])).to_be_visible()
    expect(page.get_by_label(texts["engine_music"])).to_be_visible()
    assert barriers(page, grave=True) == []

    open_finished(page, server.url, finished)
    expect(page.locator(".ms-question")).to_have_text(texts["question"])
    expect(page.locator(".ms-track h3").first).to_have_text(texts["kind_video"])
    expect(page.locator(".ms-facts dt").first).to_have_text(texts["fact_length"])
    assert barriers(page, grave=True) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_another_language_can_be_chosen_and_is_remembered(
    new_context: Callable[..., BrowserContext], server: Server, finished: str
) -> None:
    """The menu changes every text, keeps the comparison, and holds at the next visit."""
    page = open_page(new_context(locale="en-US"), server.url)
    open_finished(page, server.url, finished)

    page.get_by_label("Language").select_option("es")

    expect(page.locator(".ms-question")).to_have_text(LANGUAGES["es"]["question"])
    expect(page.locator("#ms-stop")).to_have_text(LANGUAGES["es"]["stop"])
    expect(page.get_by_label("Descripción: Vídeo", exact=True)).to_have_attribute("lang", "en")
    assert finished in page.url
    page.goto(server.url)
    expect(page.locator("#ms-both")).to_have_text(LANGUAGES["es"]["both"])
