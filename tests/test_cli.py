"""The command line as a person or a program meets it: a real process each time."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `python -m musiscene ...` in an empty folder with folders of its own."""

    def run(*arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
        own = {"MUSISCENE_DATA_DIR": str(tmp_path / "data"), "MUSISCENE_WORK_DIR": str(tmp_path / "work")}
        return subprocess.run(
            [sys.executable, "-m", "musiscene", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, **own, **environ},
            timeout=120,
        )

    return run


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line of an error; nothing on stdout, exit code 2, no traceback."""
    assert done.returncode == 2, done
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return lines[0]


@pytest.mark.slow(seconds=6)
def test_compare_writes_the_documented_document(run: Run, tmp_path: Path, small_video: Path) -> None:
    """JSON alone on stdout, the same document as the manifest, and every file that it names."""
    done = run("compare", small_video, "--out", "result", "--seed", 3, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)

    assert document == json.loads((tmp_path / "result" / "manifest.json").read_text("utf-8"))
    assert set(document["captions"]) == {"video", "music", "fusion", "msi"} == set(document["renditions"])
    assert document["unavailable"] == {}
    assert document["profile"] == "sketch"
    for caption in document["captions"].values():
        assert caption["text"] and caption["backend"] and caption["seconds"] >= 0
    assert {"cuts_s", "shots"} <= set(document["captions"]["video"]["evidence"])
    assert {"tempo_bpm", "key", "loudness_lufs"} <= set(document["captions"]["music"]["evidence"])
    for rendition in document["renditions"].values():
        assert rendition["seed"] == 3
        assert abs(rendition["loudness_lufs"] + 16) <= 0.5
        for name in ("video", "audio", "midi"):
            assert (tmp_path / "result" / rendition[name]).stat().st_size > 0
    left = {path.name for path in (tmp_path / "result").iterdir()}
    assert left == {"manifest.json"} | {f"{k}.{e}" for k in document["renditions"] for e in ("mp4", "wav", "mid")}


@pytest.mark.slow(seconds=3)
def test_caption_of_a_track_says_what_is_missing(run: Run, small_track: Path) -> None:
    """Music and MSI are there; video and fusion have their reason."""
    document = json.loads(run("caption", small_track, "--json").stdout)

    assert set(document["captions"]) == {"music", "msi"}
    assert set(document["unavailable"]) == {"video", "fusion"}
    assert document["clip"]["has_video"] is False


@pytest.mark.slow(seconds=3)
def test_caption_reads_well_on_a_terminal(run: Run, small_video: Path) -> None:
    """One line a kind."""
    lines = run("caption", small_video).stdout.splitlines()

    assert [line.split()[0] for line in lines] == ["video", "music", "fusion", "msi"]


def test_a_file_name_that_looks_like_an_option_can_be_given(run: Run, tmp_path: Path, small_video: Path) -> None:
    """After a double dash, as everywhere."""
    (tmp_path / "-dash.mp4").write_bytes(small_video.read_bytes())

    assert json.loads(run("probe", "--json", "--", "-dash.mp4").stdout)["has_video"] is True


@pytest.mark.slow(seconds=8)
def test_score_makes_the_same_bytes_again(run: Run, tmp_path: Path) -> None:
    """The same words, seed and duration: the same WAV and MIDI, in another process."""
    for name in ("one", "two"):
        done = run(
            "score", "a calm waltz", "--duration", 3, "--seed", 9, "--out", f"{name}.wav", "--midi", f"{name}.mid"
        )
        assert done.returncode == 0, done.stderr

    assert (tmp_path / "one.wav").read_bytes() == (tmp_path / "two.wav").read_bytes()
    assert (tmp_path / "one.mid").read_bytes() == (tmp_path / "two.mid").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["probe", "nowhere.mp4"], "no file nowhere.mp4"),
        (["caption", "nowhere.mp4", "--json"], "nowhere.mp4"),
        (["score", " ", "--out", "a.wav"], "no words"),
        (["score", "calm", "--out", "a.wav", "--duration", "0"], "1 to 600 seconds"),
        (["score", "calm", "--out", "a.wav", "--duration", "soon"], "soon"),
        (["score", "calm", "--out", "a.mp3"], ".wav"),
        (["score", "calm", "--out", "a.wav", "--seed", "-4"], "seed"),
        (["score", "calm", "--out", "a.wav", "--generator", "nonsense"], "nonsense"),
        (["caption", "VIDEO", "--kinds", "smell"], "smell"),
        (["compare", "VIDEO", "--out", "r", "--takes", "0"], "takes"),
        (["caption", "VIDEO", "--music", "VIDEO", "--profile", "nonsense"], "nonsense"),
        (["dance"], "dance"),
        ([], "VERB"),
    ],
)
def test_a_mistake_is_one_line(run: Run, small_video: Path, arguments: list[str], words: str) -> None:
    """Exit code 2, one line that names what was wrong, nothing written."""
    line = refused(run(*[str(small_video) if a == "VIDEO" else a for a in arguments]))

    assert words in line


def test_a_wrong_setting_is_one_line(run: Run) -> None:
    """The variable is named."""
    assert "MUSISCENE_PORT" in refused(run("doctor", MUSISCENE_PORT="many"))


def test_a_file_that_is_no_media_is_one_line(run: Run, tmp_path: Path) -> None:
    """Whatever its name says, and no result folder is left."""
    (tmp_path / "fake.mp4").write_text("this is no video")

    assert "fake.mp4" in refused(run("compare", "fake.mp4", "--out", "result"))
    assert not (tmp_path / "result").exists()


def test_an_output_folder_that_is_a_file_is_one_line(run: Run, tmp_path: Path, small_video: Path) -> None:
    """Nothing is overwritten."""
    (tmp_path / "taken").write_text("mine")

    assert "taken" in refused(run("compare", small_video, "--out", "taken"))
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.slow(seconds=5)
def test_doctor_names_every_backend_and_is_json_for_programs(run: Run) -> None:
    """The sketch profile is fine on any machine that runs these tests."""
    document = json.loads(run("doctor", "--json").stdout)

    assert document["ok"] is True
    names = {check["name"] for check in document["checks"]}
    assert {"Codecs", "Profile sketch", "Backend sketch (soundtracks)"} <= names
