"""Write a picture of every state of the page: `python tests/e2e/screenshots.py [FOLDER]` (screenshots/ by default).

Each state is taken four times: on a desktop and on a phone of 390 pixels, light and dark. `--docs` takes the
pictures of the README and of the docs instead, and writes them to docs/images/.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parent))

from e2e_listener import install_listener
from e2e_page import (
    CHROMIUM,
    FLAGS,
    REPOSITORY,
    WORK_MS,
    Server,
    choose_clip,
    copy_with_long_words,
    open_finished,
    open_page,
    open_settings,
    press,
    running_server,
    token_of,
)

from musiscene import api
from musiscene.showcase import build_showcase

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
EXAMPLES = REPOSITORY / "assets" / "examples"
IMAGES = REPOSITORY / "docs" / "images"
LARGEST_BYTES = 500_000


class Camera:
    """Takes one state in all four looks."""

    def __init__(self, folder: Path, only: str) -> None:
        self._folder, self._only, self._number = folder, only, 0

    def __call__(self, page: Page, state: str, *, full: bool = True) -> None:
        """Write `NN-state-LOOK.png` for every look."""
        self._number += 1
        if self._only not in state:
            return
        for size, viewport in (("desktop", DESKTOP), ("phone", PHONE)):
            page.set_viewport_size(viewport)
            for theme in ("light", "dark"):
                page.evaluate("(dark) => document.body.classList.toggle('dark', dark)", theme == "dark")
                page.wait_for_timeout(350)  # colours fade
                path = self._folder / f"{self._number:02}-{state}-{size}-{theme}.png"
                page.screenshot(path=path, full_page=full)
        page.set_viewport_size(DESKTOP)
        page.evaluate("() => document.body.classList.remove('dark')")


def main() -> None:
    """Take all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=REPOSITORY / "screenshots")
    parser.add_argument("--docs", action="store_true", help="take the pictures of the README and the docs")
    parser.add_argument("--only", default="", metavar="WORD", help="write states whose name has this word")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    shot = Camera(arguments.folder, arguments.only)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        folder = Path(scratch)
        with running_server(folder / "plain") as server:
            if arguments.docs:
                _pictures(browser, server)
            else:
                token = _from_empty_to_results(browser, server, shot)
                _results(browser, server, shot, token)
                _silent_blind_and_gone(browser, server, shot)
                _languages_and_widths(browser, server, shot, token, arguments.folder)
        if not arguments.docs:
            install_listener(folder / "network", folder / "listening" / "data")
            with running_server(folder / "listening", OMP_NUM_THREADS="1") as server:
                _asking(browser, server, shot)
        _showcase(browser, folder / "showcase", shot, arguments.docs)
        browser.close()


def _person(browser: Browser, **options: object) -> BrowserContext:
    return browser.new_context(viewport=DESKTOP, **options)


def _pictures(browser: Browser, server: Server) -> None:
    page = open_page(_person(browser), server.url)
    choose_clip(page, EXAMPLES / "night-drive.mp4")
    press(page, "both")
    token = token_of(page)
    open_finished(page, server.url, token)
    _rated_and_played(page)
    _save(page.screenshot(full_page=True), IMAGES / "page.png", _page_crop)
    phone = open_page(browser.new_context(viewport=PHONE, device_scale_factor=2, has_touch=True), server.url)
    open_finished(phone, server.url, token)
    _pictures_are_shown(phone)
    phone.locator("#ms-compare").evaluate("(element) => element.scrollIntoView()")
    phone.wait_for_timeout(500)
    _save(phone.screenshot(), IMAGES / "phone.png", lambda image: image)


def _rated_and_played(page: Page) -> None:
    """Four ratings, and the fourth soundtrack at 2.6 s."""
    _rate(page, (38, 61, 74, 88))
    page.wait_for_function("window.musiscene.switcher.play().then(() => true)")
    page.wait_for_function("window.musiscene.switcher.position > 2.6")
    page.keyboard.press("4")
    page.evaluate("window.musiscene.switcher.pause()")
    _pictures_are_shown(page)
    page.wait_for_timeout(500)


def _pictures_are_shown(page: Page) -> None:
    """No video is black because a busy machine has not decoded it yet."""
    shown = "[...document.querySelectorAll('video')].filter((video) => video.currentSrc)"
    page.wait_for_function(f"{shown}.every((video) => video.readyState >= 2 && !video.seeking)")


def _from_empty_to_results(browser: Browser, server: Server, shot: Camera) -> str:
    page = open_page(_person(browser), server.url)
    shot(page, "empty")
    open_settings(page)
    page.get_by_text("Prompts for the language model").click()
    page.locator(".ms-machine-fold summary").click()
    page.wait_for_selector(".ms-engines")
    shot(page, "settings")
    page.reload()
    page.wait_for_function("window.musiscene?.parts?.history")
    page.click("#ms-both")
    page.wait_for_selector(".ms-progress .ms-error:visible")
    shot(page, "error")
    with tempfile.TemporaryDirectory() as scratch:
        broken = Path(scratch) / "letter.mp4"
        broken.write_bytes(b"no film" * 99)
        page.set_input_files("#ms-clip-file", str(broken))
        page.wait_for_selector(".ms-source .ms-error:visible")
        shot(page, "unreadable")
        choose_clip(page, _avi(Path(scratch) / "holiday.avi"))
        page.wait_for_function("document.querySelector('.ms-poster')?.naturalWidth > 0")
        shot(page, "unplayable")
    page.get_by_role("button", name="Choose another clip").click()
    held = []
    page.route("**/upload*", lambda route: held.append(route))
    page.set_input_files("#ms-clip-file", str(EXAMPLES / "night-drive.mp4"))
    page.wait_for_timeout(500)
    shot(page, "uploading")
    for route in held:
        route.continue_()
    page.wait_for_selector(".ms-clip .ms-facts dd")
    shot(page, "clip")
    page.click("#ms-both")
    page.wait_for_selector(".ms-card[data-state=ready], .ms-card[data-state=working]", timeout=WORK_MS)
    shot(page, "describing", full=False)
    page.wait_for_selector(".ms-track", timeout=WORK_MS)
    shot(page, "scoring")
    page.wait_for_function("!document.body.classList.contains('ms-busy')", timeout=WORK_MS)
    token = token_of(page)
    open_finished(page, server.url, token)
    _rated_and_played(page)
    shot(page, "results")
    return token


def _results(browser: Browser, server: Server, shot: Camera, token: str) -> None:
    page = open_page(_person(browser), server.url)
    open_finished(page, server.url, token)
    for fold in page.locator(".ms-captions details:visible > summary").all():
        fold.click()
    page.wait_for_timeout(2500)
    shot(page, "evidence")
    open_finished(page, server.url, copy_with_long_words(server, token))
    page.evaluate("window.musiscene.switcher.seek(3)")
    for fold in page.locator("details:visible > summary").filter(has_text="Moments").all():
        fold.click()
    page.wait_for_timeout(300)
    shot(page, "long-words")
    page.get_by_role("button", name="Use the brief").click()
    shot(page, "brief-used")
    page.context.set_offline(True)
    page.wait_for_timeout(200)
    shot(page, "offline")
    page.context.set_offline(False)


def _silent_blind_and_gone(browser: Browser, server: Server, shot: Camera) -> None:
    page = open_page(_person(browser), server.url)
    choose_clip(page, EXAMPLES / "rain.mp4")
    press(page, "both")
    page.locator(".ms-imagine summary:visible").click()
    shot(page, "silent-clip")
    page.set_input_files("#ms-reference-file", str(EXAMPLES / "slow-waltz.mp3"))
    page.wait_for_selector(".ms-reference-name:visible")
    shot(page, "reference")
    page.get_by_role("button", name="Choose another clip").click()
    choose_clip(page, EXAMPLES / "slow-waltz.mp3")
    page.get_by_role("checkbox", name="Blind comparison").check()
    press(page, "both")
    page.wait_for_selector(".ms-track[data-state=ready]")
    shot(page, "blind-track")
    _rate(page, (50, 60))
    page.wait_for_timeout(800)
    shot(page, "revealed")
    people = [open_page(_person(browser), server.url) for _ in range(3)]
    for one in people:
        choose_clip(one, EXAMPLES / "shapes.mp4")
        open_settings(one)
        one.get_by_label("Length of the music (seconds)").fill("600")
        one.get_by_text("Settings", exact=True).click()
        one.click("#ms-both")
    people[2].wait_for_function("document.querySelector('.ms-progress-text').textContent.includes('before you')")
    shot(people[2], "waiting")
    for one in people:
        one.get_by_role("button", name="Stop", exact=True).click()
    people[0].wait_for_function("!document.body.classList.contains('ms-busy')", timeout=WORK_MS)
    shot(people[0], "stopped")
    page.goto(f"{server.url}/?c={'x' * 22}")
    page.wait_for_selector(".ms-source .ms-error:visible")
    shot(page, "gone")


def _languages_and_widths(browser: Browser, server: Server, shot: Camera, token: str, folder: Path) -> None:
    for locale, word in (("es-ES", "Ajustes"), ("zh-CN", "设置")):
        page = open_page(_person(browser, locale=locale), server.url)
        page.get_by_text(word, exact=True).click()
        page.wait_for_timeout(600)
        shot(page, f"language-{locale[:2]}-empty")
        open_finished(page, server.url, token)
        shot(page, f"language-{locale[:2]}-results")
        page.close()
    for width in (320, 768, 1920):
        page = open_page(browser.new_context(viewport={"width": width, "height": 900}), server.url)
        open_finished(page, server.url, token)
        page.wait_for_timeout(400)
        page.screenshot(path=folder / f"width-{width}.png", full_page=True)
        page.close()


def _asking(browser: Browser, server: Server, shot: Camera) -> None:
    page = open_page(_person(browser), server.url)
    choose_clip(page, EXAMPLES / "slow-waltz.mp3")
    page.wait_for_selector(".ms-ask-form")
    shot(page, "ask")
    page.get_by_role("button", name="What is the tempo?").click()
    page.wait_for_function("document.querySelector('.ms-ask-answer')?.textContent.length > 20", timeout=WORK_MS)
    shot(page, "asking")
    page.wait_for_function("!document.querySelector('.ms-ask-entry[aria-busy]')", timeout=WORK_MS)
    shot(page, "asked")


def _showcase(browser: Browser, folder: Path, shot: Camera, docs: bool) -> None:
    for name in ("dawn.mp4", "rain.mp4", "slow-waltz.mp3"):
        api.compare(EXAMPLES / name, out=folder / "made" / name, profile="sketch")
    page = _person(browser).new_page()
    page.goto(build_showcase([folder / "made"], folder / "site").page.as_uri())
    page.wait_for_function("musiscene.players.length > 0")
    page.wait_for_function("document.querySelector('article video').readyState > 1")
    page.evaluate("Promise.resolve(musiscene.players[0].seek(4)).then(() => musiscene.players[0].choose('fusion'))")
    page.wait_for_timeout(500)
    shot(page, "showcase")
    if docs:
        _save(page.screenshot(), IMAGES / "showcase.png", lambda image: image)
    page.locator(".present").click()
    page.wait_for_selector("dialog[open] .stage-voices button")
    page.keyboard.press("Enter")
    page.wait_for_timeout(800)
    shot(page, "presentation", full=False)
    if docs:
        _save(page.screenshot(), IMAGES / "presentation.png", lambda image: image)


def _avi(path: Path) -> Path:
    """Two seconds that no browser plays."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for index in range(20):
            picture = np.zeros((180, 320, 3), np.uint8)
            picture[..., 0] = np.linspace(40, 220, 320)
            picture[60:120, 20 + 8 * index : 80 + 8 * index] = (240, 220, 90)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


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
    """Write a picture in the size that a README should load, with fewer colours only where that needs it."""
    image = change(Image.open(io.BytesIO(png)).convert("RGB"))
    path.parent.mkdir(parents=True, exist_ok=True)
    for colours in (0, 256, 128, 64):
        fewer = image.quantize(colours, dither=Image.Dither.NONE) if colours else image
        fewer.save(path, optimize=True)
        if path.stat().st_size < LARGEST_BYTES:
            return
    raise SystemExit(f"{path.name} has {path.stat().st_size} bytes with 64 colours; crop it.")


if __name__ == "__main__":
    main()
