"""The file that says what is served."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from musiscene import serve_ray
from musiscene.errors import ConfigError
from musiscene.serving.config import read_serving

DOCS = Path(__file__).parents[2] / "docs" / "scaling.md"


def written(folder: Path, text: str) -> Path:
    path = folder / "serving.toml"
    path.write_text(text)
    return path


def test_every_backend_has_its_table(tmp_path: Path) -> None:
    """What is not said has a default; a whole number may stand for a number."""
    serving = read_serving(
        written(
            tmp_path,
            'name = "gpu room"\n[captions.sketch]\nat_once = 2\n'
            "[soundtracks.musicgen]\nreplicas = 2\ngpus = 1\nbatch = 8\n"
            'options = { model = "musicgen-small" }\n[ray]\ncpus = 3\n',
        )
    )
    captions, music = serving.backends
    assert (captions.label, captions.at_work, len(captions.specs())) == ("captions-sketch", 4, 3)
    assert (music.gpus, music.at_work, music.options) == (1.0, 16, {"model": "musicgen-small"})
    assert (serving.name, serving.port, serving.ray.cpus) == ("gpu room", 8900, 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "serves nothing"),
        ("[soundtracks.nonsense]\n", "no such backend.*musicgen"),
        ("[soundtracks.sketch]\nbatsch = 3\n", "has no batsch.*batch"),
        ('[soundtracks.sketch]\nbatch = "3"\n', "batch must be a whole number"),
        ("[soundtracks.sketch]\nreplicas = 0\n", "replicas must be at least 1"),
        ("[soundtracks.sketch]\ntime_limit_s = 0\n", "time_limit_s must be more than 0"),
        ("port = 99999\n[soundtracks.sketch]\n", "port must be"),
        ("soundtracks = 3\n", "must be a table"),
        ("[soundtracks\n", "not valid TOML"),
        ("[ray]\nenv = { A = 1 }\n[soundtracks.sketch]\n", "env must be text"),
    ],
)
def test_what_means_nothing_is_named(tmp_path: Path, text: str, words: str) -> None:
    """One sentence, with the table, the name and what is known instead."""
    with pytest.raises(ConfigError, match=words):
        read_serving(written(tmp_path, text))


def test_the_file_can_be_checked_without_starting(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--check` says what would be served; who listens to others wants a key."""
    monkeypatch.delenv("MUSISCENE_BACKEND_KEY", raising=False)
    assert serve_ray.main([str(written(tmp_path, "[soundtracks.sketch]\n")), "--check"]) == 0
    assert "soundtracks.sketch: 1 x" in capsys.readouterr().out
    open_to_all = written(tmp_path, 'host = "0.0.0.0"\n[soundtracks.sketch]\n')
    assert serve_ray.main([str(open_to_all), "--check"]) == 2
    assert "MUSISCENE_BACKEND_KEY" in capsys.readouterr().err
    monkeypatch.setenv("MUSISCENE_BACKEND_KEY", "long and random")
    assert serve_ray.main([str(open_to_all), "--check"]) == 0


def test_a_backend_that_cannot_run_is_told_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its table and what it lacks."""
    config = written(tmp_path, '[soundtracks.musicgen]\noptions = { model = "nowhere" }\n')
    assert serve_ray.main([str(config), "--check"]) == 2
    assert "[soundtracks.musicgen] cannot run here" in capsys.readouterr().err


def test_the_file_of_the_docs_is_right(tmp_path: Path) -> None:
    """Every name in it means something."""
    (example,) = re.findall(r"```toml\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    serving = read_serving(written(tmp_path, example))
    assert {served.label for served in serving.backends} >= {"captions-mu-llama", "soundtracks-musicgen"}
