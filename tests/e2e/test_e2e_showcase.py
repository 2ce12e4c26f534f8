"""A showcase in a real browser, opened as a file: nothing serves it, and nothing may be fetched."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_page import barriers
from playwright.sync_api import BrowserContext, Page, expect

from musiscene import api
from musiscene.showcase import build_showcase
from musiscene.showcase.words import WORDS
from musiscene.types import CaptionKind

pytestmark = pytest.mark.e2e

ASSETS = Path(__file__).resolve().parents[2] / "assets" / "examples"
TWO = frozenset({CaptionKind.VIDEO, CaptionKind.MSI})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A showcase of three comparisons (one of a music track), moved away from where it was made."""
    folder = tmp_path_factory.mktemp("showcase")
    api.compare(ASSETS / "shapes.mp4", out=folder / "made" / "a", kinds=TWO, profile="sketch")
    shutil.copytree(folder / "made" / "a", folder / "made" / "b")
    manifest = folder / "made" / "b" / "manifest.json"
    document = json.loads(manifest.read_text("utf-8"))
    for rendition in document["renditions"].values():
        rendition["video"] = None
    document["clip"] = {"path": "<b>loud & bold<i>", "duration_s": document["clip"]["duration_s"]}
    manifest.write_text(json.dumps(document), "utf-8")
    shutil.copytree(folder / "made" / "a", folder / "made" / "c")
    ratings = folder / "ratings.csv"
    made = document["renditions"]["video"]
    with ratings.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_name", "caption_kind", "caption_text", "backend", "seed", "score"])
        for score in (60, 70, 80):
            text = document["captions"]["video"]["text"]
            writer.writerow(["shapes.mp4", "video", text, made["backend"], made["seed"], score])
    shutil.copyfile(ASSETS / "shapes.mp4", folder / "shapes.mp4")
    build_showcase([folder / "made"], folder / "site", title="What we heard", ratings=ratings)
    shutil.rmtree(folder / "made")
    return (folder / "site").rename(folder / "on a stick")


def opened(context: BrowserContext, site: Path) -> Page:
    """The page, and a failure for whatever it asks of anything but its own folder."""
    page = context.new_page()
    outside: list[str] = []
    page.on("request", lambda request: outside.append(request.url) if not _own(request.url, site) else None)
    page.goto((site / "index.html").as_uri())
    page.wait_for_function("musiscene.players.length > 0")
    page.outside = outside  # type: ignore[attr-defined]
    return page


def _own(url: str, site: Path) -> bool:
    return url.startswith((site.as_uri(), "data:", "blob:"))


def test_soundtracks_switch_at_the_same_moment(new_context: Callable[..., BrowserContext], site: Path) -> None:
    """From file://, pressing a number fades to another soundtrack while time and picture go on."""
    page = opened(new_context(), site)
    first = page.locator("article").first
    first.get_by_role("button", name="Play shapes").click()
    page.wait_for_function("musiscene.players[0].playing && musiscene.players[0].position > 0.4")
    before = page.evaluate("musiscene.players[0].position")
    page.keyboard.press("2")
    expect(first.locator(".voice").nth(1).get_by_role("button")).to_have_attribute("aria-pressed", "true")
    page.wait_for_function("musiscene.players[0].sounds.level('msi') === 1")
    levels = page.evaluate("['video', 'msi'].map((name) => musiscene.players[0].sounds.level(name))")
    assert levels[1] == 1
    assert abs(levels[0]) < 1e-6
    assert page.evaluate("musiscene.players[0].position") > before
    page.wait_for_function(
        "(() => { const p = musiscene.players[0]; return Math.abs(p.video.currentTime - p.position) < 0.15; })()"
    )
    assert page.outside == []  # type: ignore[attr-defined]


def test_long_sounds_are_played_by_elements(new_context: Callable[..., BrowserContext], site: Path) -> None:
    """What is too long to be decoded at once plays and switches all the same."""
    page = opened(new_context(), site)
    page.evaluate("""() => {
        const [player] = musiscene.players;
        player.sounds = musiscene.soundsOf({ ...player.exhibit, script: "" });
        player.play();
    }""")
    page.wait_for_function("musiscene.players[0].playing && musiscene.players[0].position > 0.3")
    page.keyboard.press("2")
    page.wait_for_function("musiscene.players[0].sounds.level('msi') === 1")
    assert page.evaluate("musiscene.players[0].sounds.level('video')") < 1e-6


def test_the_presentation_is_led_by_arrow_keys(new_context: Callable[..., BrowserContext], site: Path) -> None:
    """P opens it; soundtracks have no names until Enter reveals them; arrows change soundtrack and clip."""
    page = opened(new_context(), site)
    page.keyboard.press("p")
    dialog = page.locator("dialog[open]")
    expect(dialog.locator(".where")).to_have_text("1 / 3")
    expect(dialog.locator(".stage-voices button").first).to_contain_text("Soundtrack")
    page.keyboard.press(" ")
    page.wait_for_function("musiscene.players[0].playing")
    page.keyboard.press("ArrowDown")
    expect(dialog.locator(".stage-voices button").nth(1)).to_have_attribute("aria-pressed", "true")
    expect(dialog.locator(".stage-words")).to_be_empty()
    page.keyboard.press("Enter")
    expect(dialog.locator(".stage-voices button").nth(1)).to_contain_text("Scene (MSI)")
    expect(dialog.locator(".stage-words")).not_to_be_empty()
    page.keyboard.press("ArrowRight")
    expect(dialog.locator(".where")).to_have_text("2 / 3")
    expect(dialog.locator(".stage-title")).to_have_text("<b>loud & bold<i>")
    expect(dialog.locator(".stage-words")).to_be_empty()
    page.wait_for_function("musiscene.players[1].playing && !musiscene.players[0].playing")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)


def test_the_presentation_fills_the_screen_in_large_type(
    new_context: Callable[..., BrowserContext], site: Path
) -> None:
    """Full screen, words that are read from the last row, a remote's keys, and Escape gives everything back."""
    page = opened(new_context(viewport={"width": 1920, "height": 1080}), site)
    page.keyboard.press("p")
    page.wait_for_selector("dialog[open] .stage-voices button")
    page.wait_for_function("document.fullscreenElement !== null")
    box = page.locator("dialog[open]").bounding_box()
    assert box is not None
    screen = page.evaluate("[innerWidth, innerHeight]")
    assert [round(box["width"]), round(box["height"])] == screen
    page.keyboard.press("Enter")
    size = "(name) => parseFloat(getComputedStyle(document.querySelector(name)).fontSize)"
    assert page.evaluate(size, ".stage-words") >= 0.025 * screen[1]
    assert page.evaluate(size, ".stage-voices button") >= 0.018 * screen[1]
    page.keyboard.press("PageDown")
    expect(page.locator(".where")).to_have_text("2 / 3")
    page.keyboard.press("PageUp")
    page.keyboard.press("PageUp")
    expect(page.locator(".where")).to_have_text("3 / 3")
    page.locator("dialog[open] .stage").click()  # plays, and takes the keys nowhere
    page.keyboard.press("ArrowRight")
    expect(page.locator(".where")).to_have_text("1 / 3")
    page.locator("dialog[open] .leave").click()
    page.wait_for_function("document.fullscreenElement === null")
    expect(page.locator("dialog[open]")).to_have_count(0)


def test_it_prints_everything(new_context: Callable[..., BrowserContext], site: Path, tmp_path: Path) -> None:
    """On paper: pictures in place of videos, every caption, how each was made; nothing that can only be pressed."""
    page = opened(new_context(), site)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    for name in ("nav", ".present", ".transport", ".picture > video", ".keys", ".presenter"):
        for element in page.locator(name).all():
            expect(element).to_be_hidden()
    for name in (".printed", ".caption", "table", ".wave", ".voice h3"):
        for element in page.locator(name).all():
            expect(element).to_be_visible()
    page.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True)
    pages = (tmp_path / "page.pdf").read_bytes().count(b"/Type /Page\n")
    assert 1 <= pages <= 6
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0


def test_ratings_and_origin_are_told_and_no_path(new_context: Callable[..., BrowserContext], site: Path) -> None:
    """A mean with its interval stands at the soundtrack that was rated; no folder of the maker's machine is named."""
    page = opened(new_context(), site)
    rating = page.locator("article").first.locator(".rating")
    expect(rating).to_have_count(1)
    expect(rating).to_contain_text("70")
    expect(rating).to_contain_text("3 ratings")
    page.get_by_text("How it was made").first.click()
    expect(page.locator("table").first).to_contain_text("sketch")
    assert str(ASSETS.parent) not in (site / "index.html").read_text("utf-8")


def test_it_speaks_the_browser_s_language_and_can_be_switched(
    new_context: Callable[..., BrowserContext], site: Path
) -> None:
    """Every word of the page's own, the player's and the presentation's; captions stay what they are, and say so."""
    page = opened(new_context(locale="es-MX"), site)
    spanish, chinese = WORDS["es"], WORDS["zh"]
    expect(page.locator("html")).to_have_attribute("lang", "es")
    article = page.locator("article").first
    expect(article.locator("h3").first).to_contain_text(spanish["kind_video"])
    expect(article.locator("summary")).to_have_text(spanish["show_made"])
    expect(article.locator(".rating")).to_contain_text("3 valoraciones")
    expect(article.get_by_role("button", name="Reproducir shapes")).to_be_visible()
    expect(page.locator(".keys kbd").first).to_have_text("Espacio")
    caption = article.locator(".caption").first.text_content()
    page.get_by_role("button", name="中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    expect(page.locator(".counted")).to_have_text("3 个片段 · 6 段配乐")
    expect(article.get_by_role("button", name="播放 shapes")).to_be_visible()
    expect(article.locator(".caption").first).to_have_text(caption or "")
    expect(article.locator(".caption").first).to_have_attribute("lang", "en")
    page.keyboard.press("p")
    expect(page.locator("dialog[open] .stage-voices button").first).to_contain_text(chinese["show_soundtrack"])
    page.keyboard.press("Enter")
    expect(page.locator("dialog[open] .stage-voices button").first).to_contain_text(chinese["kind_video"])
    page.keyboard.press("Escape")
    left = page.evaluate(
        """(english) => [...document.querySelectorAll('[data-t]')]
        .filter((element) => english.includes(element.textContent)).map((element) => element.dataset.t)""",
        [text for text in WORDS["en"].values() if len(text.split()) > 1],
    )
    assert left == []
    page.reload()  # what was chosen is kept
    expect(page.locator(".counted")).to_have_text("3 个片段 · 6 段配乐")
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    assert page.outside == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_barriers_and_nothing_too_wide(
    new_context: Callable[..., BrowserContext], site: Path, scheme: str, width: int
) -> None:
    """axe-core finds nothing against WCAG 2.2 AA, in the page and in the presentation, wide and narrow."""
    page = opened(new_context(viewport={"width": width, "height": 844}, color_scheme=scheme), site)
    page.get_by_text("How it was made").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert barriers(page) == []
    page.get_by_role("button", name="Present").click()
    page.wait_for_selector("dialog[open] .stage-voices button")
    page.keyboard.press("Enter")
    assert barriers(page) == []
