"""A frozen study has equal loudness and opaque names, and never runs with a changed file."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from small_study import design_text

from musiscene.errors import ConfigError, MediaError, StorageError
from musiscene.media.audio import read_audio
from musiscene.media.loudness import measure_loudness
from musiscene.media.probing import probe
from musiscene.media.waveforms import write_wav
from musiscene.mux import picture_only
from musiscene.study.bundle import Bundle, load_bundle
from musiscene.study.freezing import freeze


@pytest.mark.slow(seconds=2)
def test_all_soundtracks_are_equally_loud(make_bundle: Callable[..., Bundle]) -> None:
    """Measured anew from the files: within 0.5 LU of each other, each exactly as long as its picture."""
    bundle = make_bundle()

    levels = []
    for item in bundle.items:
        for track in item.tracks.values():
            audio = read_audio(probe(bundle.path(track.file)))
            levels.append(measure_loudness(audio.waveform, audio.sample_rate).integrated_lufs)
            assert audio.duration_s == pytest.approx(item.duration_s, abs=0.001)
    assert max(levels) - min(levels) <= 0.5
    assert len(levels) == 5 * 3 + 4 + 4  # five videos, one for practice; references and anchors of the four


def test_names_and_tags_tell_nothing(make_bundle: Callable[..., Bundle]) -> None:
    """File names are drawn; no file has a tag, and none holds a source's name or a condition's."""
    bundle = make_bundle()

    for path in (bundle.folder / "media").iterdir():
        assert re.fullmatch(r"[0-9a-f]{24}\.(mp4|flac)", path.name)
        with av.open(str(path)) as container:
            told = {**container.metadata, **{k: v for stream in container.streams for k, v in stream.metadata.items()}}
        assert set(told) <= {
            "major_brand",
            "minor_version",
            "compatible_brands",
            "language",
            "handler_name",
            "vendor_id",
        }
        content = path.read_bytes()
        for word in (b"secretclip", b"alphaone", b"betatwo", b"gammathree", b"reference", b"anchor"):
            assert word not in content


def test_captions_and_provenance_are_kept(tmp_path: Path, renditions: Path) -> None:
    """From a comparison's manifest, caption, backend and seed stand beside the file's hash."""
    folder = tmp_path / "clip"
    shutil.copytree(renditions / "secretclip0", folder)
    tracks = {
        name: {"audio": f"{name}.wav", "video": "picture.mp4", "backend": "sketch", "seed": 7}
        for name in ("alphaone", "betatwo", "gammathree")
    }
    captions = {"alphaone": {"text": "A slow piano."}}
    manifest = {"clip": {"path": "picture.mp4"}, "captions": captions, "renditions": tracks}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    (tmp_path / "d.toml").write_text(design_text(count=1, checks="reference = true"), "utf-8")
    bundle = freeze(tmp_path / "d.toml", [folder], tmp_path / "out", write_picture=picture_only)

    source = bundle.items[0].tracks["alphaone"].source
    assert (source["caption"]["text"], source["backend"], source["seed"]) == ("A slow piano.", "sketch", 7)
    assert "reference" in bundle.items[0].tracks


@pytest.mark.parametrize("change", ["append", "remove", "design", "bundle"])
def test_a_changed_bundle_is_refused(make_bundle: Callable[..., Bundle], tmp_path: Path, change: str) -> None:
    """Another byte in any file, or a missing one, and the study does not start."""
    folder = tmp_path / "copy"
    shutil.copytree(make_bundle().folder, folder)
    media = sorted((folder / "media").iterdir())[0]
    if change == "append":
        media.write_bytes(media.read_bytes() + b"x")
    elif change == "remove":
        media.unlink()
    elif change == "design":
        (folder / "study.toml").write_text((folder / "study.toml").read_text() + "# later\n")
    else:
        (folder / "bundle.json").write_text("{}")

    with pytest.raises(ConfigError, match=r"changed|lacks|damaged"):
        load_bundle(folder)


def test_what_is_missing_is_named(tmp_path: Path, renditions: Path) -> None:
    """Too few videos, a condition without a file, a silent soundtrack, a folder that is there already."""
    design = tmp_path / "d.toml"

    def attempt(text: str, folder: Path = renditions, out: str = "out") -> None:
        design.write_text(text, "utf-8")
        freeze(design, [folder], tmp_path / out, write_picture=picture_only)

    with pytest.raises(ConfigError, match="has 6 videos, the folders have 5"):
        attempt(design_text(count=6))
    with pytest.raises(ConfigError, match="no soundtrack for the condition deltafour"):
        attempt(design_text().replace("gammathree", "deltafour"))
    silent = tmp_path / "silent"
    shutil.copytree(renditions / "secretclip0", silent)
    write_wav(silent / "betatwo.wav", np.zeros((2, 48_000), np.float32), 48_000)
    with pytest.raises(MediaError, match="'betatwo' of silent is silent"):
        attempt(design_text(count=1, checks=""), silent)
    (tmp_path / "there").mkdir()
    with pytest.raises(StorageError, match="never overwritten"):
        attempt(design_text(), out="there")
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".*.part"))
