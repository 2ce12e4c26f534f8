"""How fast the page is: start-up, first caption, first playable soundtrack, switching, weight, layout shift.

    python benchmarks/page.py [CLIP] [--runs 3] [--json] [--shifts]

The application is started anew for each run, and a person's path is walked in Chromium; medians over the runs are
printed. Run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "e2e"))

from e2e_page import CHROMIUM, FLAGS, REPOSITORY, WORK_MS, choose_clip, running_server

WATCH_SHIFTS = """
window.shifts = 0;
window.shifted = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (entry.hadRecentInput) continue;
    window.shifts += entry.value;
    for (const { node, previousRect, currentRect } of entry.sources) {
      const name = node?.id || node?.className || node?.nodeName || "?";
      const move = `${Math.round(previousRect.y)}+${Math.round(previousRect.height)} to `
        + `${Math.round(currentRect.y)}+${Math.round(currentRect.height)}`;
      window.shifted.push(`${entry.value.toFixed(4)} at ${Math.round(entry.startTime)} ms: ${name}, y ${move}`);
    }
  }
}).observe({ type: "layout-shift", buffered: true });
"""
SWITCH = """
async () => {
  const { switcher } = window.musiscene;
  await switcher.play();
  const ids = [...switcher.sounds.keys()];
  const spent = [];
  for (let turn = 0; turn < 40; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 60));
    const pressed = switcher.context.currentTime;
    await switcher.switchTo(ids[turn % ids.length === 0 ? ids.length - 1 : turn % ids.length]);
    spent.push(1000 * (switcher._fadeEnd - pressed));
  }
  switcher.pause();
  return { heard_ms: spent, output_ms: 1000 * (switcher.context.outputLatency || switcher.context.baseLatency) };
}
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", nargs="?", type=Path, default=REPOSITORY / "assets" / "examples" / "night-drive.mp4")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--shifts", action="store_true", help="also say what moved, and how far")
    arguments = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        runs = [walk(browser, arguments.clip, arguments.shifts) for _ in range(arguments.runs)]
        browser.close()
    medians = {name: round(statistics.median(run[name] for run in runs), 3) for name in runs[0]}
    if arguments.json:
        print(json.dumps({"clip": arguments.clip.name, "runs": arguments.runs, **medians}, indent=2))
        return
    print(f"{arguments.clip.name}, median of {arguments.runs}")
    for name, value in medians.items():
        print(f"{name:32} {value:10g}")


def walk(browser: Browser, clip: Path, tell_shifts: bool = False) -> dict[str, float]:
    """One person's path on a server that was just started; names carry their unit."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        started = time.perf_counter()
        with running_server(Path(scratch)) as server:
            figures["server_answers_s"] = server.seconds
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            page = context.new_page()
            weight: dict[str, int] = {"bytes": 0, "requests": 0}
            client = context.new_cdp_session(page)
            client.send("Network.enable")
            client.on("Network.loadingFinished", lambda event: _weigh(event, weight))
            page.goto(server.url)
            page.wait_for_function("window.musiscene?.parts?.history && document.getElementById('ms-both')")
            figures["usable_after_start_s"] = time.perf_counter() - started
            page.wait_for_timeout(500)
            figures["page_kB"], figures["page_requests"] = weight["bytes"] / 1000, weight["requests"]
            figures["page_reload_s"] = _reload(page)
            page.evaluate(WATCH_SHIFTS)  # the reload's own shifts are among them: what was before is told too
            choose_clip(page, clip)
            pressed = time.perf_counter()
            page.click("#ms-both")
            page.wait_for_selector(".ms-card[data-state=ready]", timeout=WORK_MS)
            figures["first_caption_s"] = time.perf_counter() - pressed
            page.wait_for_function(
                "[...window.musiscene.switcher.sounds.values()].some((sound) => sound.buffer)", timeout=WORK_MS
            )
            figures["first_playable_soundtrack_s"] = time.perf_counter() - pressed
            page.wait_for_function("!document.body.classList.contains('ms-busy')", timeout=WORK_MS)
            figures["all_four_s"] = time.perf_counter() - pressed
            page.wait_for_function("[...window.musiscene.switcher.sounds.values()].every((sound) => sound.buffer)")
            switching = page.evaluate(SWITCH)
            figures["switch_until_faded_ms"] = statistics.median(switching["heard_ms"])
            figures["switch_until_faded_worst_ms"] = max(switching["heard_ms"])
            figures["output_latency_ms"] = switching["output_ms"]
            figures["layout_shift"] = page.evaluate("window.shifts")
            if tell_shifts:
                print(*page.evaluate("window.shifted"), sep="\n")
            context.close()
    return figures


def _weigh(event: dict[str, Any], weight: dict[str, int]) -> None:
    weight["bytes"] += int(event["encodedDataLength"])
    weight["requests"] += 1


def _reload(page: Any) -> float:
    started = time.perf_counter()
    page.reload()
    page.wait_for_function("window.musiscene?.parts?.history && document.getElementById('ms-both')")
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
