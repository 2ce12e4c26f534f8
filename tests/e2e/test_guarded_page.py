"""The page under its own policy, with HTML in every field, and the gallery beside it, in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e_page import Server, barriers, choose_clip, open_page, press, running_server
from playwright.sync_api import BrowserContext, Page, expect

from musiscene import api
from musiscene.showcase import build_showcase
from musiscene.types import CaptionKind

pytestmark = pytest.mark.e2e

ASSETS = Path(__file__).resolve().parents[2] / "assets" / "examples"
TWO = frozenset({CaptionKind.VIDEO, CaptionKind.MSI})
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""
HTML = "<img src=x onerror=\"window.hacked='{}'\"><script>window.hacked='{}'</script>"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A page with a gallery of one showcase."""
    folder = tmp_path_factory.mktemp("guarded")
    api.compare(ASSETS / "shapes.mp4", out=folder / "made", kinds=TWO, profile="sketch")
    build_showcase([folder / "made"], folder / "gallery" / "what we heard", title="What we <b>heard</b>")
    with running_server(folder / "server", MUSISCENE_GALLERY=str(folder / "gallery")) as server:
        yield server


def watched(context: BrowserContext) -> list[str]:
    """What the browsers of this context refuse, and whatever their pages say is wrong."""
    context.add_init_script(WATCH)
    problems: list[str] = []
    context.on("console", lambda said: problems.append(said.text) if said.type in ("error", "warning") else None)
    return problems


def until(page: Page, condition: str) -> None:
    """Wait for a condition where a policy forbids Playwright to compile it in the page."""
    for _ in range(300):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    raise AssertionError(condition)


def test_the_whole_path_under_the_policy(
    new_context: Callable[..., BrowserContext], guarded: Server, clip: Path
) -> None:
    """From a file to a rating, in another language too, nothing that the page does is against its policy."""
    context = new_context()
    problems = watched(context)
    page = open_page(context, guarded.url)
    choose_clip(page, clip)
    press(page, "both")
    page.wait_for_selector(".ms-track[data-state=ready]")
    page.keyboard.press("2")
    page.locator("#ms-settings button").first.click()
    page.get_by_role("slider").last.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(800)
    page.select_option(".ms-language", "es")
    page.wait_for_function("document.documentElement.lang === 'es' && document.getElementById('ms-both')")
    page.wait_for_selector(".ms-track[data-state=ready]")
    assert page.evaluate("window.violations") == []
    assert problems == []


def test_html_in_every_field_is_text(new_context: Callable[..., BrowserContext], guarded: Server, clip: Path) -> None:
    """File name, captions, prompts, comments, questions: shown as they were written, before and after a reload."""
    context = new_context()
    problems = watched(context)
    page = open_page(context, guarded.url)
    name = "<img src=x onerror=window.hacked=1>.mp4"
    page.set_input_files("#ms-clip-file", {"name": name, "mimeType": "video/mp4", "buffer": clip.read_bytes()})
    page.wait_for_selector(".ms-clip .ms-facts dd")
    expect(page.locator(".ms-clip-name")).to_have_text(name)
    press(page, "describe")
    page.locator("#ms-settings button").first.click()
    page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    fields = page.locator("textarea:visible, input[type=text]:visible, input:not([type]):visible")
    filled = 0
    for place in range(fields.count()):
        field = fields.nth(place)
        if field.is_editable() and field.is_enabled():
            field.fill(HTML.replace("{}", f"field {place}"))
            filled += 1
    assert filled >= 4  # the captions at least
    press(page, "score")
    page.wait_for_selector(".ms-track[data-state=ready]")
    slider = page.locator(".ms-track input[type=range]").first
    slider.focus()
    page.keyboard.press("ArrowRight")
    comment = page.locator(".ms-track textarea, .ms-track input[type=text]").first
    comment.fill(HTML.replace("{}", "comment"))
    comment.blur()
    page.wait_for_timeout(500)
    for _ in range(2):
        assert page.evaluate("window.hacked") is None
        assert page.locator("img[src=x]").count() == 0
        assert "onerror" in page.evaluate(
            "document.body.textContent + [...document.querySelectorAll('textarea')].map((f) => f.value)"
        )
        page.reload()
        page.wait_for_selector(".ms-track[data-state=ready]")
    assert page.evaluate("window.violations") == []
    assert [said for said in problems if "Content Security" in said] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_gallery_opens_at_once(
    new_context: Callable[..., BrowserContext], guarded: Server, scheme: str, width: int
) -> None:
    """From the page by the keyboard, in its language; its showcase plays, presents and leads back; no barriers."""
    context = new_context(viewport={"width": width, "height": 844}, color_scheme=scheme, locale="es-ES")
    problems = watched(context)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = open_page(context, guarded.url)
    page.get_by_role("link", name="Galería").focus()
    asked.clear()
    page.keyboard.press("Enter")
    page.wait_for_url("**/gallery/?lang=es")
    expect(page.get_by_role("heading", level=1)).to_have_text("Galería")
    expect(page.locator("h2")).to_have_text("What we <b>heard</b>")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert barriers(page) == []
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement.closest('h2')") is None:
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/gallery/what%20we%20heard/?lang=es")
    until(page, "musiscene.players?.length > 0")
    page.locator("article .play").first.click()
    until(page, "musiscene.players[0].playing && musiscene.players[0].position > 0.3")
    page.keyboard.press("2")
    until(page, "musiscene.players[0].sounds.level('msi') === 1")
    page.keyboard.press("p")
    page.wait_for_selector("dialog[open] .stage-voices button")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Toda la galería").click()
    page.wait_for_url("**/gallery/?lang=es")
    page.get_by_role("link", name="Volver a MusiScene").click()
    page.wait_for_selector(".ms-drop", state="attached")
    assert [url for url in asked if not url.startswith(guarded.url)] == []
    assert not any("queue/join" in url for url in asked if "/gallery/" in url)
    assert page.evaluate("window.violations") == []
    assert [said for said in problems if "Content Security" in said] == []


def test_an_empty_gallery_says_how_it_is_filled(new_context: Callable[..., BrowserContext], tmp_path: Path) -> None:
    """A folder that was set and has nothing in it yet."""
    (tmp_path / "gallery").mkdir()
    with running_server(tmp_path / "server", MUSISCENE_GALLERY=str(tmp_path / "gallery")) as server:
        page = open_page(new_context(), server.url)
        page.get_by_role("link", name="Gallery").click()
        expect(page.locator(".empty")).to_contain_text("musiscene showcase")
        assert barriers(page) == []
