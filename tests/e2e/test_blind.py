"""A blind comparison tells nothing before everything is rated, neither to the eye nor to who reads the traffic."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from e2e_page import Server, choose_clip, press
from playwright.sync_api import Page, Response, expect

pytestmark = pytest.mark.e2e

KIND_IN_JSON = re.compile(
    rb'\\?"(?:video|music|fusion|msi)\\?"|Scene \(MSI\)|sketch|"seed": ?\d|backend', re.IGNORECASE
)


def test_nothing_tells_before_all_are_rated(page: Page, server: Server, clip: Path) -> None:
    """The received bytes name no kind, backend, seed or caption; the last rating reveals all."""
    choose_clip(page, clip)
    received: list[Response] = []
    page.on("response", lambda response: received.append(response))
    page.get_by_role("checkbox", name="Blind comparison").check()
    press(page, "both")
    expect(page.locator(".ms-track[data-state=ready]")).to_have_count(4)
    page.wait_for_function("[...window.musiscene.switcher.sounds.values()].every((sound) => sound.buffer)")
    expect(page.locator(".ms-card textarea:visible")).to_have_count(0)
    expect(page.get_by_role("link", name="Download all")).to_be_hidden()
    assert page.request.get(page.url.replace("/?c=", "/musiscene/zip/")).status == 403

    urls = {response.url for response in received if "/musiscene/media/" in response.url}
    sound_files = [(url, page.request.get(url).body()) for url in urls]
    events = [(r.url, r.body()) for r in received if r.ok and r.url not in urls and r.request.method != "HEAD"]
    assert len(sound_files) >= 5
    assert any(b"fraction" in body for _, body in events)  # the work's own messages are among them
    for url, body in events:
        assert not KIND_IN_JSON.search(body), (url, KIND_IN_JSON.findall(body))

    for index in range(4):
        slider = page.locator(".ms-track .ms-score").nth(index)
        expect(slider).to_have_attribute("aria-label", f"Rating of Soundtrack {'ABCD'[index]}, 0 to 100")
        slider.focus()
        slider.press("ArrowRight")
        expect(page.locator(".ms-track .ms-saved").nth(index)).to_have_text("Saved")
    expect(page.locator(".ms-blind-note")).to_have_text("All rated: here is which is which.")
    expect(page.locator(".ms-card textarea:visible")).to_have_count(4)

    titles = page.locator(".ms-track h3").all_inner_texts()
    assert sorted(titles) == ["Fusion", "Music", "Scene (MSI)", "Video"]
    captions = [area.input_value().encode() for area in page.locator(".ms-card textarea").all()]
    for url, body in [*events, *sound_files]:
        assert not any(caption in body for caption in captions), url
    for url, body in sound_files:  # not even in the files' own metadata
        for word in (b"sketch", b"fusion", b"imagination", b"musiscene"):
            assert word not in body.lower(), (url, word)
