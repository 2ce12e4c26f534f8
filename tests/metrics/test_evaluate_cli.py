"""`musiscene evaluate` from files to reports."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musiscene import cli
from musiscene.metrics.plots import Panel, draw


@pytest.fixture(autouse=True)
def own_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSISCENE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def captions(path: Path, word: str) -> Path:
    lines = [{"id": f"c{i}", "caption": f"A {word} number {i} waits by the river at dusk."} for i in range(6)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def sounds(folder: Path, count: int = 3) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        wave = 0.3 * np.sin(2 * np.pi * 220 * (i + 1) * np.arange(24_000) / 16_000)
        soundfile.write(folder / f"c{i}.wav", wave, 16_000)
    return folder


@pytest.mark.slow(seconds=2)
def test_captions_become_tables_and_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two systems give a terminal table, JSON, Markdown, HTML and plots, with both protocols and what lacks."""
    references, ours = captions(tmp_path / "R.jsonl", "train"), captions(tmp_path / "ours.jsonl", "train")
    theirs = captions(tmp_path / "theirs.jsonl", "heron")
    arguments = ["--references", str(references), "--candidates", str(ours), str(theirs), "--out", str(tmp_path / "o")]

    assert cli.main(["evaluate", "captions", *arguments]) == 0

    printed = capsys.readouterr().out
    for expected in (
        "paper protocol",
        "standard protocol",
        "ours minus theirs",
        "BERTScore is left out",
        "report.html",
    ):
        assert expected in printed
    document = json.loads((tmp_path / "o" / "results.json").read_text())
    systems = document["captions"]["systems"]
    assert [system["system"] for system in systems] == ["ours", "theirs"]
    assert systems[0]["protocols"]["paper"]["bleu"]["value"] == pytest.approx(1.0)
    assert systems[0]["variety"]["scene_share"] == 1.0
    assert "| ours | 6 | 1.000" in (tmp_path / "o" / "report.md").read_text()
    assert "<svg" in (tmp_path / "o" / "report.html").read_text()
    assert (tmp_path / "o" / "plots.svg").read_text().startswith("<svg")


def test_systems_of_one_file_name_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files of one name in folders of one name are named by as much of their path as tells them apart; none is lost."""
    references = captions(tmp_path / "R.jsonl", "train")
    files = []
    for place in ("first/out", "second/out"):
        (tmp_path / place).mkdir(parents=True)
        files.append(str(captions(tmp_path / place / "msi.jsonl", "train")))
    arguments = ["evaluate", "captions", "--references", str(references), "--protocol", "standard", "--json"]

    assert cli.main([*arguments, "--candidates", *files, str(references)]) == 0
    systems = json.loads(capsys.readouterr().out)["captions"]["systems"]
    assert [system["system"] for system in systems] == ["first/out/msi", "second/out/msi", "R"]

    assert cli.main([*arguments, "--candidates", files[0], files[0]]) == 2
    assert "named twice" in capsys.readouterr().err


@pytest.mark.slow(seconds=2)
def test_the_report_has_a_dark_theme(tmp_path: Path) -> None:
    """Text, lines and drawings of the page take their colours from the theme; the drawing beside it keeps its own."""
    references = captions(tmp_path / "R.jsonl", "train")
    assert cli.main(["evaluate", "captions", "--references", str(references), "--candidates", str(references)]) == 0
    page = (tmp_path / "evaluation" / "report.html").read_text()
    assert "prefers-color-scheme: dark" in page
    assert "fill: var(--ink)" in page
    assert "fill: #" not in page
    assert "var(" not in (tmp_path / "evaluation" / "plots.svg").read_text()


def test_no_axis_goes_beyond_what_there_can_be() -> None:
    """A share of 1 is at the end of its axis, and so is a correlation of -1."""
    panels = [
        Panel("Share", {"a": (1.0, 0.98, 1.0), "b": (0.9, 0.8, 1.0)}, {}, {}, "", 0.0, 1.0),
        Panel("Correlation", {"a": (-1.0, None, None)}, {}, {}, "higher", -1.0, 1.0),
    ]
    ticks = [float(tick.replace("\u2212", "-")) for tick in re.findall(r"<!-- (\S?[0-9.]+) -->", draw(panels))]
    assert (min(ticks), max(ticks)) == (-1.0, 1.0)


def test_json_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json one document is printed and nothing else; one protocol is one protocol."""
    references = captions(tmp_path / "R.jsonl", "train")
    arguments = ["--references", str(references), "--candidates", str(references), "--protocol", "paper", "--json"]
    assert cli.main(["evaluate", "captions", *arguments]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document["captions"]["systems"][0]["protocols"]) == ["paper"]


def test_music_without_weights_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without weights nothing is computed; one line names each of them and how to get it."""
    generated, reference = sounds(tmp_path / "g"), sounds(tmp_path / "r")
    assert cli.main(["evaluate", "music", "--generated", str(generated), "--reference", str(reference)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for name in ("vggish", "passt-20s", "clap-music"):
        assert f"musiscene weights download {name}" in error
    assert not (tmp_path / "evaluation").exists()


def test_what_cannot_be_written_is_said_before_anything_is_heard(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A report onto a file, and statistics of a reference that is not there, are refused before weights are sought."""
    generated, taken = sounds(tmp_path / "g"), tmp_path / "taken"
    taken.write_text("mine")
    arguments = ["evaluate", "music", "--generated", str(generated)]
    assert cli.main([*arguments, "--reference", str(generated), "--out", str(taken / "report")]) == 2
    assert f"{taken} is a file" in capsys.readouterr().err
    assert cli.main([*arguments, "--background", str(tmp_path / "no.npz"), "--save-background", "b.npz"]) == 2
    assert "there is none" in capsys.readouterr().err
    assert cli.main([*arguments, "--background", str(tmp_path / "no.npz")]) == 2
    assert "There is no file" in capsys.readouterr().err
    assert taken.read_text() == "mine"


def test_music_needs_something_to_compare_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a reference nor a background is an error in words."""
    assert cli.main(["evaluate", "music", "--generated", str(sounds(tmp_path / "g"))]) == 2
    assert "--reference DIR or --background FILE.npz" in capsys.readouterr().err


def test_tables_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run's captions are scored, its music is left out in words, the report lies in the run's folder."""
    (tmp_path / "run" / "captions").mkdir(parents=True)
    captions(tmp_path / "run" / "captions" / "references.jsonl", "train")
    captions(tmp_path / "run" / "captions" / "msi.jsonl", "train")
    sounds(tmp_path / "run" / "music" / "reference")
    sounds(tmp_path / "run" / "music" / "msi")

    assert cli.main(["evaluate", "tables", str(tmp_path / "run")]) == 0

    assert "FAD is left out" in capsys.readouterr().out
    document = json.loads((tmp_path / "run" / "evaluation" / "results.json").read_text())
    assert document["captions"]["systems"][0]["system"] == "msi"


def test_tables_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty folder is told what it may hold."""
    (tmp_path / "run").mkdir()
    assert cli.main(["evaluate", "tables", str(tmp_path / "run")]) == 2
    assert "holds nothing to evaluate" in capsys.readouterr().err


@pytest.mark.slow
def test_comparisons_become_picture_and_music(tmp_path: Path, small_video: Path) -> None:
    """Folders of `musiscene compare` give the picture-and-music measures of every caption kind and of the original."""
    from musiscene import api
    from musiscene.settings import Settings

    api.compare(small_video, out=tmp_path / "run" / "one", profile="sketch", settings=Settings.from_env())

    assert cli.main(["evaluate", "tables", str(tmp_path / "run"), "--json"]) == 0

    document = json.loads((tmp_path / "run" / "evaluation" / "results.json").read_text())
    systems = {system["system"]: system for system in document["pictures"]["systems"]}
    assert set(systems) == {"video", "music", "fusion", "msi", "reference"}
    assert all(system["clips"] == 1 for system in systems.values())

    # A second run, or one that goes on after a stop, measures nothing again; what is no manifest is told.
    (tmp_path / "run" / "two").mkdir()
    (tmp_path / "run" / "two" / "manifest.json").write_text('{"clip": {}, "captions": {}, "renditions": {"msi": 1}}')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("musiscene.api.caption", None)
        assert cli.main(["evaluate", "tables", str(tmp_path / "run"), "--json"]) == 0
    again = json.loads((tmp_path / "run" / "evaluation" / "results.json").read_text())
    assert again["pictures"] == document["pictures"]
    assert any("two/manifest.json is no manifest" in note for note in again["notes"])
