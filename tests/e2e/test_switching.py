"""Switching, measured in the browser's own audio clock from what it plays."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from e2e_page import Server, open_finished, open_page
from numpy.typing import NDArray
from playwright.sync_api import BrowserContext, Page, expect

pytestmark = pytest.mark.e2e

FADE_S = 0.005

RECORD = """
async () => {
  const { switcher } = window.musiscene;
  const { context } = switcher;
  const code = `registerProcessor("tap", class extends AudioWorkletProcessor {
    constructor() {
      super();
      this.first = currentFrame;
      this.heard = new Float32Array(6 * sampleRate).fill(NaN); // what was not heard stays NaN
      this.port.onmessage = () => this.port.postMessage([this.first, this.heard]);
    }
    process(inputs) {
      const block = inputs[0].length ? inputs[0][0] : new Float32Array(128);
      const at = currentFrame - this.first;
      if (at + 128 <= this.heard.length) this.heard.set(block, at);
      return true;
    }
  });`;
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  window.tap = new AudioWorkletNode(context, "tap");
  switcher.master.connect(window.tap).connect(context.destination);
  window.pressed = [];
  document.addEventListener("keydown", (event) => window.pressed.push([event.key, context.currentTime]), true);
}
"""
READ = """
() => new Promise((resolve) => {
  window.tap.port.onmessage = ({ data: [first, heard] }) => resolve({
    first, samples: [...heard.map((sample) => (Number.isNaN(sample) ? 9 : sample))], pressed: window.pressed,
    rate: window.musiscene.switcher.context.sampleRate });
  window.tap.port.postMessage("read");
})
"""
SOUND = "(id) => [...window.musiscene.switcher.sounds.get(id).buffer.getChannelData(0)]"


def offset_of(piece: NDArray[np.float64], whole: NDArray[np.float64]) -> int:
    """The sample of `whole` at which `piece` fits best (cross-correlation over local energy)."""
    size = 1 << (len(whole) + len(piece)).bit_length()
    product = np.fft.irfft(np.fft.rfft(whole, size) * np.conj(np.fft.rfft(piece, size)), size)[: len(whole)]
    total = np.concatenate([[0.0], np.cumsum(np.pad(whole, (0, len(piece))) ** 2)])
    energy = total[len(piece) : len(piece) + len(whole)] - total[: len(whole)]
    return int(np.argmax(product / np.sqrt(energy + 1e-9)))


def test_switching_keeps_the_moment_and_does_not_click(
    new_context: Callable[..., BrowserContext], server: Server, finished: str
) -> None:
    """The next sound goes on at the same sample; the change takes 5 ms, at constant power, within 50 ms of the key."""
    page = open_page(new_context(bypass_csp=True), server.url)  # the recorder is no script of the server's
    open_finished(page, server.url, finished)
    page.locator(".ms-timeline").focus()
    page.evaluate("() => window.musiscene.switcher.context.resume()")
    page.evaluate(RECORD)
    page.keyboard.press("Space")
    page.wait_for_function("window.musiscene.switcher.position > 1.0")
    page.keyboard.press("2")
    page.wait_for_function("window.musiscene.switcher.position > 2.0")
    page.keyboard.press("Space")
    page.wait_for_timeout(150)

    heard: dict[str, Any] = page.evaluate(READ)
    ids = page.evaluate("[...window.musiscene.switcher.sounds.keys()]")
    first, second = (np.array(page.evaluate(SOUND, ids[index])) for index in (0, 1))
    output, rate = np.array(heard["samples"]), heard["rate"]
    pressed_s = next(at for key, at in heard["pressed"] if key == "2")
    press = round(pressed_s * rate) - heard["first"]

    assert np.abs(output[press - rate // 2 : press + rate // 2]).max() < 2, "the recording itself has a gap"
    before = slice(press - round(0.4 * rate), press - round(0.02 * rate))
    after = slice(press + round(0.1 * rate), press + round(0.5 * rate))
    shift_before = before.start - offset_of(output[before], first)
    shift_after = after.start - offset_of(output[after], second)
    assert abs(shift_before - shift_after) <= 1, "position error in samples"

    window = slice(press - round(0.01 * rate), press + round(0.08 * rate))
    one = first[window.start - shift_before : window.stop - shift_before]
    two = second[window.start - shift_before : window.stop - shift_before]
    is_first = np.abs(output[window] - one) < 2e-3
    start = len(is_first) - 1 - int(np.argmax(is_first[::-1] & (np.cumsum(~is_first)[::-1] < 4)))
    fade = round(FADE_S * rate)
    errors = [np.inf]
    for begin in range(max(0, start - 3 * fade), min(start + fade, len(one) - fade)):
        angle = np.linspace(0, np.pi / 2, fade)
        mixed = one.copy()
        mixed[begin : begin + fade] = (
            np.cos(angle) * one[begin : begin + fade] + np.sin(angle) * two[begin : begin + fade]
        )
        mixed[begin + fade :] = two[begin + fade :]
        errors.append(float(np.abs(output[window] - mixed).max()))
    begin = int(np.argmin(errors[1:])) + max(0, start - 3 * fade)
    latency_s = (begin + window.start - press) / rate
    assert min(errors) < 0.02, "something other than a 5 ms fade was heard"
    assert latency_s < 0.05


def test_the_picture_follows_the_sound(
    new_context: Callable[..., BrowserContext], server: Server, finished: str
) -> None:
    """While it plays the picture comes to be, and stays, within 0.15 s of the sound; switching does not move it."""
    page = open_page(new_context(), server.url)
    open_finished(page, server.url, finished)
    together = (
        "Math.abs(document.querySelector('.ms-picture').currentTime - window.musiscene.switcher.position) < 0.15"
        " && window.musiscene.switcher.position > {}"
    )
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function(together.format(1.2))
    page.keyboard.press("3")
    page.wait_for_timeout(300)
    page.wait_for_function(together.format(1.5))


def test_a_loop_repeats_the_marked_part(
    new_context: Callable[..., BrowserContext], server: Server, finished: str
) -> None:
    """Dragging over the waveform marks a part; playing stays in it until the loop is cleared."""
    page = open_page(new_context(), server.url)
    open_finished(page, server.url, finished)
    page.locator(".ms-timeline").scroll_into_view_if_needed()
    box = page.locator(".ms-timeline").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 20, steps=5)
    page.mouse.up()
    loop = page.evaluate("window.musiscene.switcher.loop")
    assert loop["end"] > loop["start"] > 0

    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function("window.musiscene.switcher.playing")
    positions = []
    for _ in range(12):
        page.wait_for_timeout(150)
        positions.append(page.evaluate("window.musiscene.switcher.position"))
    assert all(loop["start"] - 0.05 <= position <= loop["end"] + 0.05 for position in positions)
    assert any(later < earlier for earlier, later in pairwise(positions))
    page.get_by_role("button", name="Clear the loop").click()
    expect(page.locator(".ms-loop-mark")).to_be_hidden()


def test_by_keyboard_alone(page: Page, server: Server, finished: str) -> None:
    """An example is chosen, sounds are switched and rated without a pointer."""
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('ms-example')"):
            break
    page.keyboard.press("Enter")
    page.wait_for_selector(".ms-clip .ms-facts dd")

    open_finished(page, server.url, finished)
    page.keyboard.press("Tab")
    expect(page.locator(".ms-skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    page.wait_for_function("window.musiscene.switcher.playing")
    for key in ("4", "5", "1"):
        page.keyboard.press(key)
        expect(page.locator(".ms-choice[aria-pressed=true] kbd")).to_have_text(key)
    page.keyboard.press("Space")
    page.wait_for_function("!window.musiscene.switcher.playing")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('ms-score')"):
            break
    page.keyboard.press("End")
    expect(page.locator(".ms-score-number").first).to_have_text("100 Excellent")
    expect(page.locator(".ms-saved").first).to_have_text("Saved")
