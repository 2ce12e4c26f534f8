"""Every command of the docs: run as it stands where that takes seconds, read by its own parser where it does not.

A command that is written into a page and is in neither list below fails the first test.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import pytest

from musiscene.cli import _parser
from musiscene.settings import Settings
from musiscene.types import Limits

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

RUN = (
    r"musiscene caption assets/examples/rain\.mp4 --music assets/examples/slow-waltz\.mp3",
    r"musiscene score \"a calm waltz .*",
    r"musiscene compare assets/examples/dawn\.mp4 --out result",
    r"(?:python -m )?musiscene doctor",
    r"musiscene compare assets/examples/dawn\.mp4 --out results/dawn",
    r"musiscene showcase results --out site .*",
    r"musiscene study check assets/studies/form-1\.toml",
    r"musiscene weights list",
)
"""What is run for real, each page in a folder of its own that has `assets/`."""

READ = {
    r"pip install 'musiscene\[[\w,]+\]'": "the network",
    r"make (?:demo|test|space-check|space OWNER/NAME|audiocraft|gallery)": "minutes, or the network",
    r"musiscene weights (?:download|convert|use) .*": "weights that are not in the repository",
    r"musiscene (?:score|compare) .*--generator (?:musicgen|audiocraft).*": "weights, and better a GPU",
    r"musiscene evaluate (?:captions|music|tables) .*": "files of one's own; tests/metrics/ runs these verbs",
    r"musiscene compare clips/train\.mp4 --out results/train": "a clip of one's own",
    r"musiscene study power .*": "minutes of simulated studies",
    r"musiscene study (?:freeze|serve|analyse|export|delete|anonymise) .*": "a study; tests/study/ runs these verbs",
    r"python -m musiscene serve(?: --port \d+)?": "does not end; tests/ui/ and tests/e2e/ run it",
    r"python -m (?:musiscene\.serve_ray|train\.build_dataset) .*": "a cluster, or a corpus",
    r"accelerate launch -m train\.finetune .*": "a GPU",
    r"ray (?:start|get-auth-token) .*": "more than one machine",
    r"export (?:[A-Z_]+=\S+ ?)+": "changes the shell; its names are those of settings",
    r"export MUSISCENE_BACKEND_KEY=\$\(python -c .*\)": "changes the shell",
}
"""What is not run -> what it needs. It is read by the parser it is for, or `make -n` has to know it."""


@dataclass(frozen=True, slots=True)
class Command:
    """One line of a page."""

    page: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def commands() -> list[Command]:
    """Every line of every `sh` and `bash` block, without its remark; what runs side by side is two."""
    found = []
    for page in PAGES:
        inside = False
        for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
            if line.startswith("```"):
                inside = line[3:].strip() in ("sh", "bash", "console", "shell")
                continue
            text = re.sub(r"(?:^|\s)#\s.*$", "", line).strip()
            if inside and text:
                found += [Command(page.name, number, part.strip()) for part in text.split(" & ")]
    return found


def runs(command: Command) -> bool:
    """Whether it is in the list of those that are run."""
    return any(re.fullmatch(pattern, command.text) for pattern in RUN)


COMMANDS = commands()


def test_every_command_is_in_a_list() -> None:
    """And every entry of the lists is in the docs."""
    patterns = [*RUN, *READ]
    unknown = [str(c) for c in COMMANDS if not any(re.fullmatch(pattern, c.text) for pattern in patterns)]
    assert unknown == [], "Put them into RUN, or into READ with what they need."
    assert len(COMMANDS) > 40


@cache
def told_by(*words: str) -> str:
    """What `--help` of another program says; of a module of ours in this process, which has imported what it needs."""
    if words[0] == "python":
        told = io.StringIO()
        with contextlib.redirect_stdout(told), pytest.raises(SystemExit, check=lambda ended: not ended.code):
            importlib.import_module(words[2]).main(["--help"])
        return told.getvalue()
    command = [str(Path(sys.executable).parent / words[0]), *words[1:], "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def is_quick(command: Command) -> bool:
    """Whether reading it neither imports much nor starts another Python program."""
    return command.text.startswith(("musiscene", "python -m musiscene ", "make", "pip", "export"))


@pytest.mark.parametrize(
    "command",
    [pytest.param(c, id=str(c), marks=() if is_quick(c) else pytest.mark.slow) for c in COMMANDS if not runs(c)],
)
def test_a_command_that_is_not_run_is_understood(command: Command) -> None:
    """By the parser it is for: verb, options and number of arguments are right."""
    words = shlex.split(command.text)
    if words[:3] == ["python", "-m", "musiscene"]:
        words = words[2:]
    if words[0] == "musiscene":
        _parser().parse_args(words[1:])
    elif words[0] == "make":
        known = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
        assert known.returncode == 0, known.stderr
    elif words[0] == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
        named = re.findall(r"\[(.*)\]", words[2])[0].split(",")
        assert set(named) <= extras.keys()
    elif words[0] == "export":
        known_names = {f"MUSISCENE_{field.name.upper()}" for field in (*fields(Settings), *fields(Limits))}
        values = dict(re.findall(r"([A-Z_]+)=(\S+)", command.text.removeprefix("export ")))
        assert {name for name in values if not name.startswith("RAY_")} <= known_names
        Settings.from_env(values)
    else:
        start = words.index("-m") + 2 if "-m" in words else 2
        told = told_by("python", "-m", words[start - 1]) if "-m" in words else told_by(*words[:2])
        options = {word.partition("=")[0] for word in words[start:] if word.startswith("--")}
        assert [option for option in options if option not in told] == []


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted({c.page for c in COMMANDS if runs(c)}))
def test_the_commands_of_a_page_run(page: str, tmp_path: Path) -> None:
    """One after the other, as they stand, in a folder with the examples."""
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    bin_folder = tmp_path / ".bin"
    bin_folder.mkdir()
    for name, module in {"musiscene": " -m musiscene", "python": ""}.items():
        (bin_folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n', "utf-8")
        (bin_folder / name).chmod(0o755)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MUSISCENE_")},
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "MUSISCENE_DATA_DIR": str(tmp_path / "data"),
        "MUSISCENE_PROFILE": "sketch",
    }
    for command in (c for c in COMMANDS if c.page == page and runs(c)):
        done = subprocess.run(
            ["sh", "-c", command.text], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stderr[-2000:]}"
        for made in re.findall(r"--(?:out|midi) (\S+)", command.text):
            assert (tmp_path / made).exists(), command


@pytest.mark.slow
def test_the_python_of_the_first_pages_runs(
    tmp_path: Path, small_video: Path, small_track: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """README.md and docs/running.md: what stands between the marks, as it stands."""
    shutil.copyfile(small_video, tmp_path / "clip.mp4")
    shutil.copyfile(small_track, tmp_path / "track.mp3")  # read by its content
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MUSISCENE_PROFILE", "sketch")
    for name in ("README.md", "docs/running.md"):
        blocks = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text("utf-8"), re.DOTALL)
        assert blocks
        for block in blocks:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(block, name, "exec"), {})
            shutil.rmtree("result", ignore_errors=True)


def test_python_of_every_page_is_python() -> None:
    """What is not run at least compiles."""
    for page in PAGES:
        for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            compile(block, page.name, "exec")


def test_every_verb_that_is_named_exists() -> None:
    """In running text too: `musiscene VERB …`."""
    parser = _parser()
    verbs = next(action.choices for action in parser._actions if action.choices and "compare" in action.choices)
    assert verbs is not None
    for page in PAGES:
        for verb in re.findall(r"`(?:python -m )?musiscene (\w+)", page.read_text("utf-8")):
            assert verb in verbs, (page.name, verb)


def test_every_setting_is_in_the_table() -> None:
    """docs/running.md names each variable, and no other."""
    named = set(re.findall(r"`(MUSISCENE_\w+)`", (ROOT / "docs" / "running.md").read_text("utf-8")))
    known = {f"MUSISCENE_{field.name.upper()}" for field in (*fields(Settings), *fields(Limits))} - {"MUSISCENE_LIMITS"}
    assert known - named == set()
    assert named - known == set()
