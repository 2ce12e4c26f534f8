"""A showcase is complete, tells nothing of the machine it was made on, and refuses in words."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from musiscene import media
from musiscene.errors import RequestError
from musiscene.showcase import Showcase, build_showcase
from musiscene.showcase.page import SCRIPTS, STATIC
from musiscene.showcase.reading import read_folders, without_paths
from musiscene.showcase.words import WORDS


def comparison(folder: Path, *, text: str = "A calm piece.", kind: str = "music") -> Path:
    """A comparison of a music track with one soundtrack, as `musiscene compare` leaves it."""
    folder.mkdir(parents=True)
    seconds = np.arange(96_000) / 48_000
    wave = (0.2 * np.sin(2 * np.pi * 220 * seconds)).astype(np.float32)
    media.write_wav(folder / f"{kind}.wav", np.stack([wave, wave]), 48_000)
    rendition = {
        "video": None, "audio": f"{kind}.wav", "midi": None, "seed": 7, "take": 1, "backend": "sketch",
        "loudness_lufs": -16.0, "true_peak_dbtp": -3.0, "duration_s": 2.0, "seconds": 1.0,
        "provenance": {"sentence": "A waltz.", "model": "/home/ann/models/big-one"},
    }  # fmt: skip
    document = {
        "clip": {"path": f"/home/ann/clips/{folder.name}.mp3", "duration_s": 2.0},
        "captions": {kind: {"text": text, "backend": "sketch", "seconds": 0.1, "evidence": {}}},
        "unavailable": {"video": "There is no picture."},
        "profile": "sketch",
        "renditions": {kind: rendition},
    }
    (folder / "manifest.json").write_text(json.dumps(document), "utf-8")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Showcase:
    """A showcase of a comparison whose words are HTML."""
    folder = tmp_path_factory.mktemp("showcase")
    words = 'Loud <script>alert(1)</script> & "bold" </script><!--'
    return build_showcase([comparison(folder / "waltz", text=words)], folder / "site", title="<i>Ours</i>")


def test_every_file_that_the_page_names_is_beside_it(made: Showcase) -> None:
    """And no address leads to another host."""
    page = made.page.read_text("utf-8")
    named = re.findall(r'(?:src|href|poster)="([^"#]+)"', page)
    assert [name for name in named if not name.startswith("data:") and not (made.page.parent / name).is_file()] == []
    assert not re.search(r"(?:https?:)?//(?!www\.w3\.org)[a-z0-9.-]+\.[a-z]{2,}", page)


def test_words_of_people_are_never_markup(made: Showcase) -> None:
    """Captions and titles are shown as they are written; they end no script."""
    page = made.page.read_text("utf-8")
    assert "<script>alert" not in page
    assert "&lt;i&gt;Ours" in page
    data = re.search(r'<script type="application/json" id="exhibits">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    assert json.loads(data[1])[0]["voices"][0]["caption"].startswith("Loud <script>")


def test_no_folder_of_the_makers_machine_is_told(made: Showcase) -> None:
    """Absolute paths in the manifest are cut to their last part."""
    page = made.page.read_text("utf-8")
    assert "/home/ann" not in page
    assert "big-one" in page
    assert without_paths({"a": ["C:\\Users\\Ann\\x.bin", "4/4", "a/b", "/x"]}) == {"a": ["x.bin", "4/4", "a/b", "/x"]}


def test_sounds_come_as_a_script_and_are_the_sound_files(made: Showcase) -> None:
    """The base64 text is the m4a beside it, which is the soundtrack in length and level."""
    folder = made.page.parent / "media" / "01-waltz"
    script = (folder / "sounds.js").read_text("ascii")
    name, voice, text = re.findall(r'musisceneSound\("(.*?)","(.*?)","(.*?)"\)', script)[0]
    assert (name, voice) == ("01-waltz", "music")
    assert base64.b64decode(text) == (folder / "music.m4a").read_bytes()
    audio = media.read_audio(media.probe(folder / "music.m4a"))
    assert audio.waveform.shape[1] / audio.sample_rate == pytest.approx(2.0, abs=0.05)
    assert float(np.abs(audio.waveform).max()) == pytest.approx(0.2, abs=0.02)


def test_the_same_comparisons_make_the_same_page(made: Showcase, tmp_path: Path) -> None:
    """Making it again, over an earlier one, changes no byte of it."""
    folder = made.page.parent.parent
    shutil.copytree(made.page.parent, tmp_path / "site")
    again = build_showcase([folder / "waltz"], tmp_path / "site", title="<i>Ours</i>")
    assert again.page.read_bytes() == made.page.read_bytes()


@pytest.mark.parametrize("language", WORDS)
def test_every_language_has_every_word_with_the_same_blanks(language: str) -> None:
    """No text is missing, none is left in English by accident; keys of the keyboard are as many."""
    words, english = WORDS[language], WORDS["en"]
    assert words.keys() == english.keys()
    assert [key for key, text in words.items() if not text.strip()] == []
    for key, text in english.items():
        assert sorted(re.findall(r"\{\w+\}", words[key])) == sorted(re.findall(r"\{\w+\}", text)), key
        assert words[key].count("`") == text.count("`"), key
        if language != "en":
            assert words[key] != text or len(text.split()) < 3, key


def test_every_word_is_used_and_every_word_that_is_used_is_there() -> None:
    """By the page that is written, or by its script."""
    sources = [path.read_text("utf-8") for path in STATIC.parent.glob("*.py")]
    scripts = [(STATIC / name).read_text("utf-8") for name in SCRIPTS]
    asked = {key for text in (*sources, *scripts) for key in re.findall(r"[\"'](show_\w+)[\"']", text)}
    assert asked == {key for key in WORDS["en"] if key.startswith("show_")}


def test_the_page_can_be_written_in_another_language(tmp_path: Path) -> None:
    """Then it opens in that one for everybody; its words come from one place, and an unknown language is refused."""
    folder = comparison(tmp_path / "waltz")
    page = build_showcase([folder], tmp_path / "site", language="zh").page.read_text("utf-8")
    assert '<html lang="zh" data-fixed>' in page
    for key in ("show_title", "show_about", "show_made", "kind_music", "gallery_clip"):
        assert WORDS["zh"][key] in page.partition("<dialog")[0]
    assert '<p class="caption" lang="en">A calm piece.</p>' in page
    with pytest.raises(RequestError, match="not 'fr'"):
        build_showcase([folder], tmp_path / "other", language="fr")
    assert not (tmp_path / "other").exists()


def test_a_manifest_cannot_publish_other_files(tmp_path: Path) -> None:
    """One that names a file outside its folder is refused."""
    folder = comparison(tmp_path / "trap")
    (tmp_path / "secret.wav").write_bytes(b"secret")
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text("utf-8").replace('"music.wav"', '"../secret.wav"'), "utf-8")
    with pytest.raises(RequestError, match="outside its folder"):
        build_showcase([folder], tmp_path / "site")
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize("text", ["", "[]", '{"clip": 1}', '{"clip": {}, "captions": {}, "renditions": {"tune": {}}}'])
def test_a_damaged_manifest_is_named(tmp_path: Path, text: str) -> None:
    """In one sentence, with the file and the next step."""
    (tmp_path / "manifest.json").write_text(text, "utf-8")
    with pytest.raises(RequestError, match="is damaged"):
        read_folders([tmp_path])


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    """An output folder with other files is refused before anything is written."""
    (tmp_path / "thesis.txt").write_text("mine", "utf-8")
    with pytest.raises(RequestError, match="is no showcase"):
        build_showcase([comparison(tmp_path / "a")], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "thesis.txt"]


def test_ratings_count_for_the_soundtrack_they_were_given_to(tmp_path: Path) -> None:
    """Same clip, words, generator and seed; a rating of another seed is another soundtrack's."""
    folder = comparison(tmp_path / "rated")
    ratings = tmp_path / "ratings.csv"
    head = "clip_name,caption_kind,caption_text,backend,seed,score\n"
    ratings.write_text(
        head + "rated.mp3,music,A calm piece.,sketch,7,80\nrated.mp3,music,A calm piece.,sketch,8,10\n", "utf-8"
    )
    made = build_showcase([folder], tmp_path / "site", ratings=ratings)
    assert made.exhibits[0].voices[0].scores == (80.0,)
    assert re.search(r"<b>80</b><span><span [^>]*>1 rating</span>", made.page.read_text("utf-8"))
    ratings.write_text("a,b\n1,2\n", "utf-8")
    with pytest.raises(RequestError, match="no ratings"):
        build_showcase([folder], tmp_path / "site", ratings=ratings)


@pytest.mark.slow
def test_the_verb_says_where_the_page_is(tmp_path: Path) -> None:
    """`python -m musiscene showcase` prints one JSON document with the page's path; a refusal is one line."""
    comparison(tmp_path / "one")
    command = [sys.executable, "-m", "musiscene", "showcase"]
    done = subprocess.run(
        [*command, tmp_path / "one", "--out", tmp_path / "s", "--json"], capture_output=True, text=True
    )
    assert Path(json.loads(done.stdout)["page"]).is_file()
    (tmp_path / "empty").mkdir()
    refused = subprocess.run([*command, tmp_path / "empty", "--out", tmp_path / "t"], capture_output=True, text=True)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
