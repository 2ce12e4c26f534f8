"""The gallery lists what is in its folder now, and serves nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from musiscene.settings import Settings
from musiscene.ui.gallery import Gallery, gallery_of, gallery_routes, is_offered


def showcase(folder: Path, heading: str = "Shown", clip: str = "dawn") -> Path:
    """A showcase as `musiscene showcase` writes it, as far as the gallery looks at it."""
    (folder / "media" / "01").mkdir(parents=True)
    exhibits = [
        {"name": "01", "title": clip, "poster": "media/01/poster.jpg", "voices": [{"kind": "msi"}, {"kind": ""}]}
    ]
    data = json.dumps(exhibits).replace("<", "\\u003c")
    (folder / "index.html").write_text(
        f'<!doctype html><style>b{{}}</style><header class="top"><h1>{heading}</h1></header>'
        f'<script type="application/json" id="exhibits">{data}</script><script>\nstart();\n</script>',
        "utf-8",
    )
    (folder / "media" / "01" / "msi.mp4").write_bytes(bytes(range(200)))
    return folder


def client(folder: Path | None) -> TestClient:
    """A browser of a gallery."""
    return TestClient(Starlette(routes=gallery_routes(Gallery(folder))))


def test_the_list_is_what_is_there_now(tmp_path: Path) -> None:
    """Titles are text, counts are told in the reader's language, and a new folder is there with the next look."""
    browser = client(tmp_path)
    empty = browser.get("/gallery/", headers={"accept-language": "es-MX,en;q=0.5"})
    assert "Todavía no hay nada" in empty.text
    assert '<html lang="es">' in empty.text
    showcase(tmp_path / "a b&c", heading="&lt;i&gt;Ours", clip="<img src=x onerror=alert(1)>")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "index.html").write_text("<h1>Something else</h1>", "utf-8")
    listed = browser.get("/gallery/?lang=zh").text
    assert 'href="a%20b%26c/?lang=zh"' in listed
    assert "&lt;i&gt;Ours" in listed and "&lt;img src=x onerror=alert(1)&gt;" in listed
    assert "1 个片段 · 1 段配乐" in listed
    assert "Something else" not in listed
    assert "<script" not in listed


def test_a_showcase_opens_with_its_own_scripts_only(tmp_path: Path) -> None:
    """The policy names the hash of each script and style in the page; there is a way back to the list."""
    showcase(tmp_path / "ours")
    browser = client(tmp_path)
    page = browser.get("/gallery/ours?lang=es")
    assert page.url.path == "/gallery/ours/"
    assert 'href="../?lang=es">← Toda la galería' in page.text
    policy = page.headers["content-security-policy"]
    digest = base64.b64encode(hashlib.sha256(b"\nstart();\n").digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    part = browser.get("/gallery/ours/media/01/msi.mp4", headers={"range": "bytes=0-9"})
    assert (part.status_code, part.headers["content-type"], len(part.content)) == (206, "video/mp4", 10)


@pytest.mark.parametrize(
    "name",
    [
        "../secret.mp4", "..%2fsecret.mp4", "%2e%2e/secret.mp4", "media/../../secret.mp4", "/etc/passwd", "notes.txt",
        ".hidden/a.mp4", "media/01/link.mp4", "media", "media/01/", "a%00.mp4", "..%5csecret.mp4", "media/01/none.mp4",
    ],
)  # fmt: skip
def test_nothing_but_the_media_of_a_showcase_is_served(tmp_path: Path, name: str) -> None:
    """No other file, no folder, no way out, not even by a link in the folder."""
    folder = showcase(tmp_path / "gallery" / "ours")
    (tmp_path / "gallery" / "secret.mp4").write_bytes(b"secret")
    (folder / "notes.txt").write_text("secret", "utf-8")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "a.mp4").write_bytes(b"secret")
    (folder / "media" / "01" / "link.mp4").symlink_to(tmp_path / "gallery" / "secret.mp4")
    answer = client(tmp_path / "gallery").get(f"/gallery/ours/{name}")
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_a_folder_that_is_a_showcase_is_a_gallery_of_one(tmp_path: Path) -> None:
    """So that `MUSISCENE_GALLERY=site` shows what `showcase --out site` wrote."""
    gallery = Gallery(showcase(tmp_path / "site"))
    assert list(gallery.shows()) == ["site"]
    assert client(tmp_path / "site").get("/gallery/site/").status_code == 200


def test_a_damaged_page_is_left_out_and_a_changed_one_read_again(tmp_path: Path) -> None:
    """A showcase that is being copied just now costs no page."""
    gallery = Gallery(tmp_path)
    page = showcase(tmp_path / "x") / "index.html"
    whole = page.read_text("utf-8")
    page.write_text(whole.replace('[{"name"', '[{"nam'), "utf-8")
    assert gallery.shows() == {}
    page.write_text(re.sub("Shown", "Shown again", whole), "utf-8")
    assert gallery.shows()["x"].title == "Shown again"
    assert Gallery(tmp_path / "gone").shows() == {} and Gallery(None).shows() == {}


def test_the_page_leads_there_where_it_was_set(tmp_path: Path) -> None:
    """A folder that somebody named is offered while it is still empty."""
    settings = replace(Settings(), gallery=tmp_path)
    assert is_offered(settings, gallery_of(settings))
    assert not is_offered(Settings(), Gallery(None))
