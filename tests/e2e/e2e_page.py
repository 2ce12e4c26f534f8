"""The application as a process, and what a person does in the page; shared by tests, screenshots and benchmarks."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page

REPOSITORY = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("MUSISCENE_CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",  # a camera and a microphone that show and play a test signal
    "--use-fake-ui-for-media-stream",
]
WORK_MS = 120_000
"""How long captions and soundtracks may take on a busy machine."""


@dataclass(frozen=True)
class Server:
    """The running application."""

    url: str
    data_dir: Path
    work_dir: Path
    seconds: float
    """From the start of the process to the first answer."""


@contextmanager
def running_server(folder: Path, **settings: str) -> Iterator[Server]:
    """`python app.py`, as a Space runs it, on folders of its own under `folder`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "MUSISCENE_DATA_DIR": str(folder / "data"),
        "MUSISCENE_WORK_DIR": str(folder / "work"),
        "MUSISCENE_PORT": str(port),
        "MUSISCENE_PROFILE": "sketch",
        "MUSISCENE_UPLOADS_PER_HOUR": "0",  # all tests come from one address
        "GRADIO_TEMP_DIR": str(folder / "uploads"),
        **settings,
    }
    url = f"http://127.0.0.1:{port}"
    started = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=REPOSITORY, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            while True:
                if process.poll() is not None or time.perf_counter() - started > 90:
                    raise RuntimeError(f"The application did not start.\n{(folder / 'log.txt').read_text()}")
                try:
                    urllib.request.urlopen(url, timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.05)
            yield Server(url, folder / "data", folder / "work", time.perf_counter() - started)
        finally:
            process.terminate()
            process.wait(timeout=20)


def short_clip() -> Path:
    """A short clip with sound: a real one when there are any, else one of the examples."""
    folder = Path(os.environ.get("MUSISCENE_MEDIA") or REPOSITORY.parent / "shared" / "media")
    if (folder / "manifest.json").is_file():
        listed = json.loads((folder / "manifest.json").read_text("utf-8"))["files"]
        usable = [
            entry
            for entry in listed
            if entry["category"] == "video_with_audio"
            and not entry.get("audio_track_silent")
            and 3 <= (entry["duration_s"] or 0) <= 8
            and entry["video"][0]["width"] <= 640
            and entry["name"].endswith((".mp4", ".mov"))
        ]
        if usable:
            return folder / str(min(usable, key=lambda entry: float(entry["duration_s"]))["name"])
    return REPOSITORY / "assets" / "examples" / "shapes.mp4"


def open_page(context: BrowserContext, url: str) -> Page:
    """A tab with the page, ready to use."""
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector(".ms-drop, .ms-clip", state="attached")
    page.wait_for_function("window.musiscene?.parts?.history && document.getElementById('ms-both')")
    return page


def choose_clip(page: Page, path: Path) -> None:
    """Upload a clip and wait for its facts."""
    page.set_input_files("#ms-clip-file", str(path))
    page.wait_for_selector(".ms-clip .ms-facts dd")


def open_settings(page: Page) -> None:
    """Unfold the settings and wait until they are settled.

    Gradio writes a field's first value once more a few milliseconds after it is shown (a tenth of a second on a busy
    machine). Nobody types that fast, but a test does, and what it typed would be gone.
    """
    page.get_by_text("Settings", exact=True).click()
    page.get_by_label("Length of the music (seconds)").wait_for(state="visible")
    idle = "new Promise((done) => requestIdleCallback(() => done()))"
    page.evaluate(f"async () => {{ await {idle}; await new Promise((done) => setTimeout(done, 100)); await {idle}; }}")


def press(page: Page, button: str) -> None:
    """Press Describe, Score or both, and wait until their work is over."""
    before = page.evaluate(STATE)
    page.click(f"#ms-{button}")
    page.wait_for_function(
        f"(before) => {{ const state = ({STATE})(); "
        "return JSON.stringify(state) !== JSON.stringify(before) && !state.busy && state.phase !== 'idle'; }",
        arg=before,
        timeout=WORK_MS,
    )


STATE = """() => {
  const { token, version, busy, phase } = window.musiscene.parts.progress.props.value;
  return { token, version, busy, phase };
}"""


def open_finished(page: Page, url: str, token: str) -> None:
    """Open the link to a comparison and wait until its sounds are loaded."""
    page.goto(f"{url}/?c={token}")
    page.wait_for_selector(".ms-track[data-state=ready]")
    page.wait_for_function("[...window.musiscene.switcher.sounds.values()].length > 1")
    page.wait_for_function("[...window.musiscene.switcher.sounds.values()].every((sound) => sound.buffer)")


LONG_CAPTION = (
    "A slow and gentle orchestral piece in which warm strings carry a calm melody over a soft piano. " * 22
).strip()
BRIEF = "Slow, gentle orchestral music: warm strings carry a calm melody over a soft piano."


def copy_with_long_words(server: Server, token: str) -> str:
    """The token of a copy of a comparison, as captioners for long clips and a language model for MusicGen leave it.

    The video caption has moments, and the fusion caption is longer than MusicGen reads, with its music brief.
    """
    copy = "LongWords" + token[9:]
    shutil.copytree(server.work_dir / token, server.work_dir / copy)
    file = server.work_dir / copy / "comparison.json"
    document = json.loads(file.read_text("utf-8"))
    length = max(track["rendition"]["duration_s"] for track in document["tracks"])
    seen = ("A road in neon light.", "A bridge over dark water.", "A skyline at night, with a thousand lit windows.")
    parts = [
        {"start_s": index * length / 6, "end_s": (index + 1) * length / 6, "text": seen[index % 3]}
        for index in range(6)
    ]
    for group in ("captions", "written"):
        document[group]["video"]["evidence"] |= {"windows": parts, "windows_seen": 6, "windows_in_clip": 14}
        fusion = document[group]["fusion"]
        fusion |= {"text": LONG_CAPTION, "backend": "llm"}
        fusion["evidence"] = {"music_brief": BRIEF, "music_brief_by": "language model", "read_until": 620}
    document["options"] |= {"engine": "musicgen"}
    file.write_text(json.dumps(document), "utf-8")
    return copy


SETTLED = """() => Promise.allSettled(
  document.getAnimations().filter((moving) => moving instanceof CSSTransition).map((moving) => moving.finished)
).then(() => null)"""


def barriers(page: Page, *, grave: bool = False) -> list[str]:
    """What axe-core finds against WCAG 2.0 to 2.2 A and AA, once no colour is on its way to another.

    With `grave` it is only what axe-core calls serious or critical.
    """
    page.evaluate(SETTLED)
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": tags}}).response["violations"]
    if grave:
        found = [finding for finding in found if finding["impact"] in ("serious", "critical")]
    return [
        f"{finding['id']}: {node['target']} {node['failureSummary']}" for finding in found for node in finding["nodes"]
    ]


def token_of(page: Page) -> str:
    """Token of the comparison that the page shows."""
    token: str = page.evaluate("window.musiscene.page().token")
    return token
