"""`musiscene study` from design to report, as one types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from small_study import design_text

from musiscene.cli import main
from musiscene.study.bundle import Bundle
from musiscene.study.database import Database
from musiscene.study.simulated import answer_page
from musiscene.study.taking_part import Arrival, Study


def test_a_design_with_a_mistake_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and the line of the file; no traceback."""
    (tmp_path / "bad.toml").write_text(design_text().replace("seed = 7", 'seed = "seven"'), "utf-8")

    assert main(["study", "check", str(tmp_path / "bad.toml")]) == 2
    assert capsys.readouterr().err.startswith("musiscene: bad.toml, line 5: seed must be a whole number")


@pytest.mark.slow
def test_from_design_to_report(
    make_bundle: Callable[..., Bundle],
    renditions: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Check, freeze, take part, analyse, export, delete: each says what it did and leaves its files."""
    (tmp_path / "d.toml").write_text(design_text(checks=""), "utf-8")
    assert main(["study", "check", str(tmp_path / "d.toml"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pages"] == 6
    frozen = tmp_path / "frozen"
    assert main(["study", "freeze", str(tmp_path / "d.toml"), "--from", str(renditions), "--out", str(frozen)]) == 0
    assert "5 videos (one of them for practice)" in capsys.readouterr().out
    assert main(["study", "freeze", str(tmp_path / "d.toml"), "--from", str(renditions), "--out", str(frozen)]) == 2
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = Study(make_bundle(checks=""), Database(url))
    codes = []
    for person in range(3):
        token = f"{person:032d}"
        view = study.enter(Arrival(token))
        while view["step"]["kind"] != "end":
            number = view["step"]["number"]
            view = study.save(token, view["step"]["id"], f"save-{number:06d}", answer_page(view, study.design))
        codes.append(view["code"])
    capsys.readouterr()

    assert main(["study", "analyse", "tiny", "--database", url, "--out", str(tmp_path / "report")]) == 0
    assert "warning: Too few people" in capsys.readouterr().out
    written = {path.name for path in (tmp_path / "report").iterdir()}
    assert {"report.html", "results.json", "means.svg", "means.png"} <= written
    json.loads((tmp_path / "report" / "results.json").read_text("utf-8"))
    assert (
        main(["study", "export", "tiny", "--database", url, "--out", str(tmp_path / "data"), "--formats", "csv"]) == 0
    )
    assert (tmp_path / "data" / "ratings.csv").read_text("utf-8").count("\n") == 1 + 3 * 12
    assert main(["study", "delete", "tiny", codes[1], "--database", url]) == 0
    assert main(["study", "delete", "tiny", codes[1], "--database", url]) == 2
    assert main(["study", "anonymise", "tiny", "--database", url]) == 0
    assert main(["study", "analyse", "other", "--database", url]) == 2
