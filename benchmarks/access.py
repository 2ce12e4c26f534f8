"""Barriers that axe-core finds in every page, on a desktop and a phone, light and dark, as a table.

    python benchmarks/access.py [--json FILE] [--languages en,es,zh]

Each page is opened in Chromium as a person meets it; folds are open. Rules are those of WCAG 2.0 to 2.2, levels A and
AA. A finding is one element that one rule fails, of any impact; beside it stands how many rules were applied and held.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from _harness import write_json
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "e2e"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "study"))

from e2e_page import CHROMIUM, FLAGS, Server, choose_clip, open_page, press, running_server, short_clip, token_of
from small_study import small_bundle

from musiscene import api
from musiscene.showcase import build_showcase

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
LOOKS: Mapping[str, dict[str, object]] = {
    "desktop, light": {"viewport": DESKTOP, "color_scheme": "light"},
    "desktop, dark": {"viewport": DESKTOP, "color_scheme": "dark"},
    "phone, light": {"viewport": PHONE, "color_scheme": "light", "has_touch": True},
    "phone, dark": {"viewport": PHONE, "color_scheme": "dark", "has_touch": True},
}


@dataclass(frozen=True, slots=True)
class Looked:
    """What axe-core said of one page in one look.

    Attributes:
        findings: `rule: element` for each that fails.
        held: Rules that were applied and hold.
    """

    findings: list[str]
    held: int


@dataclass(frozen=True, slots=True)
class Place:
    """What is there to look at."""

    server: Server
    token: str


def empty(page: Page, place: Place) -> None:
    """The page as it is met."""
    _open(page, place.server.url)


def settings(page: Page, place: Place) -> None:
    """Settings and everything that folds in them."""
    _open(page, place.server.url)
    for button in page.locator("button.label-wrap").all():
        if button.is_visible() and button.get_attribute("aria-expanded") != "true":
            button.click()
    page.locator("input[type=number]").first.wait_for(state="visible")
    page.wait_for_timeout(800)


def results(page: Page, place: Place) -> None:
    """A finished comparison, its evidence unfolded."""
    _open(page, f"{place.server.url}/?c={place.token}")
    page.wait_for_selector(".ms-track[data-state=ready]")
    for fold in page.locator("details:visible > summary").all():
        fold.click()
    page.wait_for_timeout(800)


def programs(page: Page, place: Place) -> None:
    """The endpoints' page."""
    page.goto(f"{place.server.url}/api")


def gallery(page: Page, place: Place) -> None:
    """The list of showcases."""
    page.goto(f"{place.server.url}/gallery/")


def showcase(page: Page, place: Place) -> None:
    """A showcase, its tables unfolded."""
    page.goto(f"{place.server.url}/gallery/shown/")
    page.wait_for_function("musiscene.players?.length > 0")
    for fold in page.locator("details:visible > summary").all():
        fold.click()


def presentation(page: Page, place: Place) -> None:
    """Its presentation, revealed."""
    showcase(page, place)
    page.locator(".present").click()
    page.wait_for_selector("dialog[open] .stage-voices button")
    page.keyboard.press("Enter")


def study(page: Page, place: Place) -> None:
    """A listening study's first page."""
    page.goto(f"{place.server.url}/study/tiny")
    page.locator("button").last.wait_for(state="visible")


def study_sound(page: Page, place: Place) -> None:
    """Its second page, where the volume is set."""
    study(page, place)
    before = page.locator("h1").text_content()
    page.locator("button").last.click()
    page.wait_for_function("(before) => document.querySelector('h1')?.textContent !== before", arg=before)


PAGES: Mapping[str, Callable[[Page, Place], None]] = {
    "comparison, empty": empty,
    "comparison, settings open": settings,
    "comparison, results": results,
    "page for programs": programs,
    "gallery": gallery,
    "showcase": showcase,
    "showcase, presentation": presentation,
    "study, consent": study,
    "study, volume": study_sound,
}


def _open(page: Page, url: str) -> None:
    page.goto(url)
    page.wait_for_selector(".ms-drop, .ms-clip", state="attached")
    page.wait_for_function("window.musiscene?.parts?.history && document.getElementById('ms-both')")


@contextmanager
def somewhere(browser: Browser) -> Iterator[Place]:
    """A server with a finished comparison, a gallery and a study."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        api.compare(short_clip(), out=folder / "made", profile="sketch")
        build_showcase([folder / "made"], folder / "gallery" / "shown")
        small_bundle(folder / "studies" / "tiny", items=2)
        with running_server(
            folder / "server", MUSISCENE_GALLERY=str(folder / "gallery"), MUSISCENE_STUDIES=str(folder / "studies")
        ) as server:
            page = open_page(browser.new_context(), server.url)
            choose_clip(page, short_clip())
            press(page, "both")
            yield Place(server, token_of(page))


def look(browser: Browser, place: Place, show: Callable[[Page, Place], None], options: dict[str, object]) -> Looked:
    """Open a page in one look and let axe-core read it."""
    context = browser.new_context(bypass_csp=True, **options)  # axe is put into the page from here
    page = context.new_page()
    page.set_default_timeout(60_000)
    show(page, place)
    said = Axe().run(page, options={"runOnly": {"type": "tag", "values": TAGS}}).response
    context.close()
    findings = [f"{rule['id']}: {node['target']}" for rule in said["violations"] for node in rule["nodes"]]
    return Looked(findings, len(said["passes"]))


def main() -> None:
    """Look at everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--languages", default="en", help="which languages the browser asks for, separated by commas")
    parser.add_argument("--only", default="", metavar="WORD", help="pages whose name has this word")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found: dict[str, dict[str, Looked]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with somewhere(browser) as place:
            for language in arguments.languages.split(","):
                for name, show in PAGES.items():
                    if arguments.only in name:
                        found[f"{name} ({language})"] = {
                            title: look(browser, place, show, {**options, "locale": language})
                            for title, options in LOOKS.items()
                        }
        browser.close()
    print(f"| Page | {' | '.join(LOOKS)} |\n| --- |{' --- |' * len(LOOKS)}")
    for name, looks in found.items():
        print(f"| {name} | {' | '.join(f'{len(one.findings)} of {one.held}' for one in looks.values())} |")
    for name, looks in found.items():
        for title, one in looks.items():
            for finding in one.findings:
                print(f"{name}, {title}: {finding}")
    write_json(arguments.json, {name: {t: asdict(one) for t, one in looks.items()} for name, looks in found.items()})


if __name__ == "__main__":
    main()
