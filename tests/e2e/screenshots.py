"""Write a picture of every state of the page: `python tests/e2e/screenshots.py [FOLDER]` (screenshots/ by default).

With `--docs` the two pictures of the README are written to docs/images/ as well.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parent))

from e2e_page import (
    CHROMIUM,
    FLAGS,
    REPOSITORY,
    WORK_MS,
    choose_clip,
    open_finished,
    open_page,
    press,
    running_server,
    token_of,
)

DESKTOP = {"viewport": {"width": 1280, "height": 900}, "device_scale_factor": 1}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True}
EXAMPLES = REPOSITORY / "assets" / "examples"
LARGEST_BYTES = 300_000


def main() -> None:
    """Take all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=REPOSITORY / "screenshots")
    parser.add_argument("--docs", action="store_true", help="also write the pictures of the README")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with running_server(Path(scratch)) as server:
            _take_all(browser, server.url, arguments.folder, arguments.docs)
        browser.close()


def _take_all(browser: Browser, url: str, folder: Path, docs: bool) -> None:
    def shot(page: Page, name: str) -> None:
        page.wait_for_timeout(400)
        page.screenshot(path=folder / f"{name}.png", full_page=True)

    page = open_page(browser.new_context(**DESKTOP), url)
    shot(page, "01-empty")
    page.get_by_text("Settings", exact=True).click()
    shot(page, "02-settings")
    page.get_by_text("Settings", exact=True).click()
    page.click("#ms-both")
    page.wait_for_selector(".ms-progress .ms-error:visible")
    shot(page, "03-error")
    broken = folder / "letter.mp4"
    broken.write_bytes(b"no film" * 99)
    page.set_input_files("#ms-clip-file", str(broken))
    page.wait_for_selector(".ms-source .ms-error:visible")
    broken.unlink()
    shot(page, "04-unreadable")
    choose_clip(page, EXAMPLES / "night-drive.mp4")
    shot(page, "05-clip")
    page.click("#ms-both")
    page.wait_for_selector(".ms-card[data-state=ready]", timeout=WORK_MS)
    shot(page, "06-describing")
    page.wait_for_selector(".ms-track", timeout=WORK_MS)
    shot(page, "07-scoring")
    page.wait_for_function("!document.body.classList.contains('ms-busy')", timeout=WORK_MS)
    token = token_of(page)
    open_finished(page, url, token)
    _rate(page, (38, 61, 74, 88))
    page.wait_for_function("window.musiscene.switcher.play().then(() => true)")
    page.wait_for_function("window.musiscene.switcher.position > 2.6")
    page.keyboard.press("4")
    page.evaluate("window.musiscene.switcher.pause()")
    shot(page, "08-results")
    if docs:
        _save(page.screenshot(full_page=True), REPOSITORY / "docs" / "images" / "page.png", _page_crop)
    for fold in page.locator("details:visible > summary").all():
        fold.click()
    page.wait_for_timeout(2500)
    shot(page, "09-evidence")

    page = open_page(browser.new_context(**DESKTOP, color_scheme="dark"), url)
    open_finished(page, url, token)
    shot(page, "10-dark")
    page.context.set_offline(True)
    shot(page, "11-offline")

    for width in (768, 1920):
        page = open_page(browser.new_context(viewport={"width": width, "height": 900}), url)
        open_finished(page, url, token)
        shot(page, f"12-wide-{width}")

    page = open_page(browser.new_context(**PHONE), url)
    shot(page, "13-phone-empty")
    open_finished(page, url, token)
    _rate(page, (38, 61, 74, 88))
    shot(page, "14-phone-results")
    if docs:
        page.locator(".ms-player").scroll_into_view_if_needed()
        page.evaluate("window.scrollTo(0, document.getElementById('ms-compare').offsetTop + window.scrollY - 8)")
        page.locator("#ms-compare").evaluate("(element) => element.scrollIntoView()")
        page.wait_for_timeout(300)
        _save(page.screenshot(), REPOSITORY / "docs" / "images" / "phone.png", lambda image: image)

    page = open_page(browser.new_context(**DESKTOP), url)
    choose_clip(page, EXAMPLES / "rain.mp4")
    press(page, "both")
    shot(page, "15-silent-clip")
    page.get_by_role("button", name="Choose another clip").click()
    choose_clip(page, EXAMPLES / "slow-waltz.mp3")
    page.get_by_role("checkbox", name="Blind comparison").check()
    press(page, "both")
    shot(page, "16-blind-track")
    _rate(page, (50, 60))
    page.wait_for_timeout(800)
    shot(page, "17-revealed")
    page.goto(f"{url}/?c={'x' * 22}")
    page.wait_for_selector(".ms-source .ms-error:visible")
    shot(page, "18-gone")


def _rate(page: Page, scores: tuple[int, ...]) -> None:
    for index, score in enumerate(scores):
        slider = page.locator(".ms-score").nth(index)
        slider.evaluate(
            "(slider, score) => { slider.value = score; slider.dispatchEvent(new Event('input'));"
            " slider.dispatchEvent(new Event('change')); }",
            score,
        )
        page.locator(".ms-saved").nth(index).filter(has_text="Saved").wait_for()


def _page_crop(image: Image.Image) -> Image.Image:
    return image.crop((0, 0, image.width, min(image.height, 2400)))


def _save(png: bytes, path: Path, change: Callable[[Image.Image], Image.Image]) -> None:
    """Write a picture with as many colours as fit into the size that a README should load."""
    image = change(Image.open(io.BytesIO(png)).convert("RGB"))
    path.parent.mkdir(parents=True, exist_ok=True)
    for colours in (256, 128, 64, 32):
        image.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size < LARGEST_BYTES:
            return
    raise SystemExit(f"{path.name} has {path.stat().st_size} bytes with 32 colours; crop it.")


if __name__ == "__main__":
    main()
