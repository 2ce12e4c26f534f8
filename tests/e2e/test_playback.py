"""What mux writes plays in Chromium: picture and sound, upright, seekable, to its end."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import BrowserContext

from musiscene.media import probe
from musiscene.mux import mux

pytestmark = pytest.mark.e2e

PLAY = """async () => {
    const video = document.querySelector('video');
    const heard = new (window.AudioContext)();
    const analyser = heard.createAnalyser();
    heard.createMediaElementSource(video).connect(analyser);
    const until = (event) => new Promise((done, fail) => {
        video.addEventListener(event, done, {once: true});
        video.addEventListener('error', () => fail(new Error(video.error?.message || 'error')), {once: true});
    });
    if (video.readyState < 1) await until('loadedmetadata');
    const loud = [];
    const look = setInterval(() => {
        const samples = new Float32Array(analyser.fftSize);
        analyser.getFloatTimeDomainData(samples);
        loud.push(Math.max(...samples.map(Math.abs)));
    }, 50);
    video.playbackRate = 1;
    await heard.resume();
    await video.play();
    await until('ended');
    clearInterval(look);
    const canvas = document.createElement('canvas');
    canvas.width = video.videoWidth; canvas.height = video.videoHeight;
    video.currentTime = 0.2;
    await until('seeked');
    canvas.getContext('2d').drawImage(video, 0, 0);
    const at = (x, y) => Math.max(...canvas.getContext('2d').getImageData(x, y, 1, 1).data.slice(0, 3));
    const [right, bottom] = [canvas.width - 5, canvas.height - 5];
    return {
        width: video.videoWidth, height: video.videoHeight, duration: video.duration,
        frames: video.getVideoPlaybackQuality().totalVideoFrames, loudest: Math.max(...loud),
        corners: [at(4, 4), at(right, 4), at(right, bottom), at(4, bottom)],
    };
}"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The test's folder over HTTP."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


CASES = {
    "H.264 copied": ({"name": "a.mp4"}, (64, 48)),
    "H.264 with B-frames, from Matroska": ({"name": "a.mkv", "options": {"bf": "2"}}, (64, 48)),
    "VP9 copied": ({"name": "a.webm", "codec": "libvpx-vp9", "audio_codec": "libopus"}, (64, 48)),
    "AV1 copied": ({"name": "a.mp4", "codec": "libsvtav1", "size": (128, 96)}, (128, 96)),
    "a quarter turn": ({"name": "a.mp4", "rotation": 90}, (48, 64)),
    "VP8 encoded": ({"name": "a.webm", "codec": "libvpx", "audio_codec": "libvorbis"}, (64, 48)),
    "MPEG-4 in AVI, odd size, encoded": ({"name": "a.avi", "codec": "mpeg4", "size": (65, 49)}, (66, 50)),
    "10-bit H.264 encoded": ({"name": "a.mp4", "pixel_format": "yuv420p10le"}, (64, 48)),
    "animated GIF": ({"name": "a.gif", "codec": "gif", "pixel_format": "rgb8"}, (64, 48)),
}


@pytest.mark.parametrize(("options", "shown"), CASES.values(), ids=CASES)
def test_what_mux_writes_plays(
    make_media: Callable[..., Path],
    new_context: Callable[..., BrowserContext],
    served: str,
    tmp_path: Path,
    options: dict[str, object],
    shown: tuple[int, int],
) -> None:
    """From start to end, at its size, with the new sound, and seekable."""
    given = {"duration_s": 1.6, **options}
    source = make_media(given.pop("name"), **given)
    time_s = np.arange(round(1.6 * 44_100)) / 44_100
    music = np.tile(0.3 * np.sin(2 * np.pi * 330 * time_s), (2, 1)).astype(np.float32)
    clip = probe(source)
    mux(clip, music, 44_100, tmp_path / "out.mp4")
    page = new_context().new_page()
    page.goto(f"{served}/")
    page.set_content(f'<video src="{served}/out.mp4" preload="auto"></video>')
    seen = page.evaluate(PLAY)

    assert (seen["width"], seen["height"]) == shown
    assert seen["duration"] == pytest.approx(clip.duration_s, abs=0.1)
    assert seen["frames"] > 10
    assert 0.1 < seen["loudest"] <= 1.0
    assert max(seen["corners"]) > 200  # one quarter of the picture is white
