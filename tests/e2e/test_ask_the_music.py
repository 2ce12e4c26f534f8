"""Asking the music, over a tiny MU-LLaMA with its real files."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from e2e_listener import install_listener
from e2e_page import REPOSITORY, WORK_MS, Server, barriers, choose_clip, open_page, running_server
from playwright.sync_api import BrowserContext, Page, expect

pytestmark = pytest.mark.e2e

TRACK = REPOSITORY / "assets" / "examples" / "slow-waltz.mp3"


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An installation that has the weights."""
    folder = tmp_path_factory.mktemp("listening")
    install_listener(folder / "network", folder / "data")
    with running_server(folder, OMP_NUM_THREADS="1") as server:
        yield server


def answered(page: Page) -> None:
    """Wait until nothing is being written."""
    page.wait_for_function(
        "document.querySelector('.ms-ask-entry') && !document.querySelector('.ms-ask-entry[aria-busy]')",
        timeout=WORK_MS,
    )


def test_parity_an_answer_streams_can_be_stopped_and_is_kept(
    new_context: Callable[..., BrowserContext], listening: Server
) -> None:
    """A suggested question is answered piece by piece; the next is stopped; a reload still shows both."""
    page = open_page(new_context(), listening.url)
    choose_clip(page, TRACK)
    page.evaluate(
        """() => {
          window.lengths = [];
          new MutationObserver(() => {
            const answer = document.querySelector('.ms-ask-answer');
            if (answer) window.lengths.push(answer.textContent.length);
          }).observe(document.querySelector('#ms-ask'), { subtree: true, childList: true, characterData: true });
        }"""
    )
    page.get_by_role("button", name="What is the tempo?").click()
    page.wait_for_selector(".ms-ask-answer:not(:empty)", timeout=WORK_MS)
    answered(page)
    grown = [length for length in page.evaluate("window.lengths") if length]
    assert len(set(grown)) > 2 and grown == sorted(grown)
    assert barriers(page, grave=True) == []

    page.get_by_label("Your question about what is heard, in English").fill("Which instruments carry the melody?")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Stop the answer").click()
    answered(page)
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible()
    page.reload()
    questions = page.locator(".ms-ask-question")
    expect(questions).to_have_text(["What is the tempo?", "Which instruments carry the melody?"])
    expect(page.locator(".ms-ask-answer").first).not_to_be_empty()
    expect(page.locator(".ms-ask-entry").first).to_contain_text("mu-llama, seed 0")


def test_without_weights_the_next_step_is_one_sentence(page: Page) -> None:
    """The panel is folded away; opened, it says what to run."""
    page.locator(".ms-ask-missing summary").click()

    expect(page.locator(".ms-ask-missing")).to_contain_text("musiscene weights download")
    expect(page.locator(".ms-ask-form")).to_be_hidden()
