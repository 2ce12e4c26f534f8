"""What can be fetched, and what cannot."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from musiscene.types import CaptionKind
from musiscene.ui.choices import Choices
from musiscene.ui.comparison import Comparison
from musiscene.ui.desk import Desk
from musiscene.ui.files import Assets, routes

PERSON = "0123456789abcdef"


@pytest.fixture
def client(desk: Desk) -> TestClient:
    """A browser of the desk's files."""
    return TestClient(
        Starlette(routes=routes(desk, Assets({"texts": {"a": "</script>"}}))), raise_server_exceptions=False
    )


@pytest.fixture
def comparison(desk: Desk, clip_path: Path) -> Comparison:
    """One soundtrack, finished."""
    opened = desk.open_file(clip_path, "holiday.mp4")
    choices = Choices(kinds=frozenset({CaptionKind.VIDEO}), duration_s=1.5, seed=7, blind=True)
    done = desk.start(opened, choices, describe=True, score=True)
    for _ in desk.follow(done, interval_s=0.02):
        pass
    return done


def test_files_of_a_comparison(client: TestClient, comparison: Comparison, desk: Desk) -> None:
    """Media plays in parts, nothing else of the disk is reachable, and the zip waits until all is rated."""
    base = f"/musiscene/media/{comparison.token}"
    track = comparison.tracks[0]
    part = client.get(f"{base}/{track.id}.wav", headers={"Range": "bytes=0-99"})
    assert (part.status_code, len(part.content), part.headers["content-type"]) == (206, 100, "audio/wav")
    assert "private" in part.headers["cache-control"]
    saved = client.get(f"{base}/{track.id}.mp4?save=1")
    assert saved.headers["content-disposition"] == 'attachment; filename="holiday-A.mp4"'
    source = client.get(f"{base}/source")
    assert source.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in source.headers["content-security-policy"]

    for name in ("comparison.json", "..%2fcomparison.json", "video.wav", f"{track.id}.json", "%2e%2e"):
        assert client.get(f"{base}/{name}").status_code == 404
    for token in ("..", "a" * 22, "%2e%2e%2f%2e%2e"):
        assert client.get(f"/musiscene/media/{token}/source").status_code == 404

    assert client.get(f"/musiscene/zip/{comparison.token}").status_code == 403
    assert client.get(f"/musiscene/plot/{comparison.token}/video.light.svg").status_code == 404
    desk.rate(comparison, PERSON, track.id, 77, "")
    archive = zipfile.ZipFile(io.BytesIO(client.get(f"/musiscene/zip/{comparison.token}").content))
    assert set(archive.namelist()) == {"video.mp4", "video.wav", "video.mid", "captions.txt", "manifest.json"}
    manifest = json.loads(archive.read("manifest.json"))
    assert manifest["clip"]["path"] == "holiday.mp4"
    assert manifest["options"]["seed"] == 7
    assert str(desk.settings.work_dir) not in archive.read("manifest.json").decode()
    assert not list(comparison.folder.glob("*.zip"))
    plot = client.get(f"/musiscene/plot/{comparison.token}/video.dark.svg")
    assert plot.headers["content-type"] == "image/svg+xml"
    assert plot.content.startswith(b"<")
    for address in ("video.pink.svg", "drums.light.svg", "music.light.svg"):
        assert client.get(f"/musiscene/plot/{comparison.token}/{address}").status_code == 404


def test_the_script_knows_its_texts_and_closes_no_tag(client: TestClient) -> None:
    """What the script begins with is data; it cannot end the script."""
    script = client.get("/musiscene/static/musiscene.js")

    assert script.text.startswith('window.musiscene = { config: {"texts": {"a": "<\\/script>"}} };')
    assert "immutable" in script.headers["cache-control"]
    assert client.get("/musiscene/static/app.py").status_code == 404
