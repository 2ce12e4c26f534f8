"""Recording with the camera, in a browser whose camera and microphone show and play a test signal."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from e2e_page import Server, open_page, open_settings, press
from playwright.sync_api import BrowserContext, Page, expect

pytestmark = pytest.mark.e2e


def test_a_recording_becomes_a_clip(page: Page) -> None:
    """Picture and sound of a second are taken, uploaded and described like any other file."""
    page.get_by_role("button", name="Record with the camera").click()
    page.wait_for_function("document.querySelector('.ms-live')?.videoWidth > 0")
    page.wait_for_timeout(1500)
    page.get_by_role("button", name="Stop recording").click()

    expect(page.locator(".ms-clip-name")).to_have_text("Recording.webm")
    facts = page.locator(".ms-clip .ms-facts")
    expect(facts).to_contain_text("fps")
    expect(facts).to_contain_text("kHz")
    expect(page.locator(".ms-live")).to_have_count(0)  # the camera is given back
    open_settings(page)
    for title in ("Music", "Fusion", "Scene (MSI)"):
        page.get_by_role("checkbox", name=title, exact=True).uncheck()
    press(page, "describe")
    expect(page.get_by_label("Video caption", exact=True)).not_to_be_empty()


def test_a_camera_that_is_refused_is_told_in_place(new_context: Callable[..., BrowserContext], server: Server) -> None:
    """The reason stands beside the upload, and the file chooser stays."""
    page = open_page(new_context(), server.url)
    page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('Permission denied')); }"
    )

    page.get_by_role("button", name="Record with the camera").click()

    expect(page.locator(".ms-source .ms-error:visible")).to_contain_text("Permission denied")
    expect(page.locator(".ms-drop")).to_be_visible()
