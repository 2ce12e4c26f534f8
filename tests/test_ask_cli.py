"""`musiscene ask`, `musiscene export`, and prompts on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from musiscene import weights
from musiscene.ask_cli import pairs
from musiscene.cli import main
from musiscene.errors import RequestError


def test_pairs_name_a_kind_of_caption() -> None:
    """KIND=VALUE; a value may have an equals sign in it."""
    kinds = {"video": "VIDEO", "fusion": "FUSION"}

    assert pairs(["fusion=say a = b", "Video = x"], "--prompt", kinds) == {"FUSION": "say a = b", "VIDEO": "x"}
    assert pairs(None, "--prompt", kinds) == {}
    for wrong in ("fusion", "smell=x", "fusion="):
        with pytest.raises(RequestError, match="--prompt"):
            pairs([wrong], "--prompt", kinds)


def test_without_weights_the_next_step_is_one_line(
    small_track: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is loaded, nothing is written."""
    monkeypatch.setenv("MUSISCENE_DATA_DIR", str(tmp_path / "data"))

    assert main(["ask", str(small_track), "What is the tempo?"]) == 2
    assert main(["export", str(small_track), "--out", str(tmp_path / "heard")]) == 2

    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2 and all("musiscene weights" in line or "pip install" in line for line in said)
    assert not (tmp_path / "heard").exists()


def test_a_prompt_for_nothing_is_refused(small_track: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line says what the argument looks like."""
    assert main(["caption", str(small_track), "--prompt", "be brief"]) == 2
    assert "KIND=VALUE" in capsys.readouterr().err


@pytest.mark.slow
def test_a_question_is_answered_and_a_model_is_written(
    small_track: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Over a tiny network with its real files: the same seed, the same answer; the export is a plain Llama."""
    from musiscene.networks.mu_llama.tiny import write_tiny

    monkeypatch.setenv("MUSISCENE_DATA_DIR", str(tmp_path / "data"))
    network = write_tiny(tmp_path / "network")
    for name, part in (("mu-llama", "adapter"), ("llama-2-7b-chat-hf", "base"), ("mert-v1-330m", "mert")):
        weights.use(name, network[part], tmp_path / "data" / "weights")

    answers = []
    for _ in range(2):
        assert main(["ask", str(small_track), "What is the tempo?", "--seed", "3", "--json"]) == 0
        answers.append(json.loads(capsys.readouterr().out)["answer"])
    assert answers[0] and answers[0] == answers[1]

    assert main(["export", str(small_track), "--out", str(tmp_path / "heard"), "--json"]) == 0
    assert {"config.json", "model.safetensors", "prompt.txt"} <= json.loads(capsys.readouterr().out)["files"].keys()
    assert main(["export", str(small_track), "--out", str(tmp_path / "heard")]) == 2
    assert "not an empty folder" in capsys.readouterr().err
