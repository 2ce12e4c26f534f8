"""A blind comparison tells nothing before everything is rated, neither to the eye nor to who reads the traffic."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_page import Server, barriers, choose_clip, open_page, press
from playwright.sync_api import BrowserContext, expect

pytestmark = pytest.mark.e2e

KIND_IN_JSON = re.compile(r'\\?"(?:video|music|fusion|msi)\\?"|Scene \(MSI\)|sketch|"seed": ?\d|backend', re.IGNORECASE)

# Streams that a page reads itself are not kept by the browser, so every byte is noted where it arrives.
NOTE_ALL = """
window.received = [];
const decoder = () => new TextDecoder();
const realFetch = window.fetch;
window.fetch = async (...asked) => {
  const response = await realFetch(...asked);
  const url = String(asked[0]?.url ?? asked[0]);
  if (!url.includes("/musiscene/media/") && response.body) {
    const [ours, theirs] = response.body.tee();
    (async () => {
      const reader = ours.getReader();
      const decode = decoder();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        window.received.push([url, decode.decode(part.value, { stream: true })]);
      }
    })().catch(() => {});
    const { status, statusText, headers } = response;
    return new Response(theirs, { status, statusText, headers });
  }
  return response;
};
const RealEvents = window.EventSource;
window.EventSource = class extends RealEvents {
  constructor(...asked) {
    super(...asked);
    this.addEventListener("message", (event) => window.received.push([String(asked[0]), event.data]));
  }
};
"""


def test_nothing_tells_before_all_are_rated(
    new_context: Callable[..., BrowserContext], server: Server, clip: Path
) -> None:
    """The received bytes name no kind, backend, seed or caption; the last rating reveals all."""
    context = new_context()
    context.add_init_script(NOTE_ALL)
    page = open_page(context, server.url)
    choose_clip(page, clip)
    page.evaluate("window.received = []")
    media: set[str] = set()
    page.on("response", lambda response: media.add(response.url) if "/musiscene/media/" in response.url else None)
    page.get_by_role("checkbox", name="Blind comparison").check()
    press(page, "both")
    expect(page.locator(".ms-track[data-state=ready]")).to_have_count(4)
    page.wait_for_function("[...window.musiscene.switcher.sounds.values()].every((sound) => sound.buffer)")
    expect(page.locator(".ms-card:visible")).to_have_count(0)
    expect(page.get_by_role("link", name="Download all")).to_be_hidden()
    assert page.request.get(page.url.replace("/?c=", "/musiscene/zip/")).status == 403

    assert barriers(page, grave=True) == []
    told: list[tuple[str, str]] = [(url, text) for url, text in page.evaluate("window.received")]
    files = [(url, page.request.get(url).body()) for url in sorted(media)]
    assert len(files) >= 5
    assert any("fraction" in text for _, text in told)  # the messages of the work are among what was noted
    for url, text in told:
        assert not KIND_IN_JSON.search(text), (url, KIND_IN_JSON.findall(text))

    for index in range(4):
        slider = page.locator(".ms-track .ms-score").nth(index)
        expect(slider).to_have_attribute("aria-label", f"Rating of Soundtrack {'ABCD'[index]}, 0 to 100")
        slider.focus()
        slider.press("ArrowRight")
        expect(page.locator(".ms-track .ms-saved").nth(index)).to_have_text("Saved", timeout=15_000)
    expect(page.locator(".ms-blind-note")).to_have_text("All rated: here is which is which.")
    expect(page.locator(".ms-card textarea:visible")).to_have_count(4)

    titles = page.locator(".ms-track h3").all_inner_texts()
    assert sorted(titles) == ["Fusion", "Music", "Scene (MSI)", "Video"]
    for caption in [area.input_value() for area in page.locator(".ms-card textarea").all()]:
        assert not any(caption in text for _, text in told)
        assert not any(caption.encode() in body for _, body in files)
    for url, body in files:  # not even in the files' own metadata
        for word in (b"sketch", b"fusion", b"imagination", b"musiscene"):
            assert word not in body.lower(), (url, word)
