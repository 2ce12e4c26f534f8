"""What is written twice agrees."""

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import gradio
import pytest

from musiscene.settings import Settings
from musiscene.types import Limits

ROOT = Path(__file__).parent.parent


def test_the_spaces_set_is_the_core_set() -> None:
    """requirements.txt is pyproject's core and the `spaces` package, nothing else."""
    core = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    lines = [line for line in (ROOT / "requirements.txt").read_text("utf-8").splitlines() if line and line[0] != "#"]

    assert sorted(line for line in lines if not line.startswith("spaces")) == sorted(core)


def test_the_space_runs_the_gradio_that_was_tested() -> None:
    """The front matter pins the version that is installed here."""
    assert f"sdk_version: {gradio.__version__}" in (ROOT / "README.md").read_text("utf-8")


def test_every_setting_is_documented() -> None:
    """And nothing is documented that is no setting."""
    documented = set(re.findall(r"`(MUSISCENE_\w+)`", (ROOT / "docs" / "running.md").read_text("utf-8")))
    names = {f.name for f in fields(Settings)} | {f.name for f in fields(Limits)}

    assert documented == {f"MUSISCENE_{name.upper()}" for name in names - {"limits"}}


def test_links_between_the_documents_lead_somewhere() -> None:
    """Every relative link and picture of every Markdown file exists."""
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]

    assert broken == []


@pytest.mark.parametrize("refusing", [("python3",), ("python3", "python3.11", "python3.12", "python3.13")])
def test_make_passes_over_a_python_that_refuses(tmp_path: Path, refusing: tuple[str, ...]) -> None:
    """As pyenv's commands do where `.python-version` names a Python that is not installed: another is taken."""
    shims = tmp_path / "shims"
    shims.mkdir()
    for name in refusing:
        (shims / name).write_text("#!/bin/sh\necho 'pyenv: version `3.12' is not installed' >&2\nexit 1\n")
        (shims / name).chmod(0o755)
    usable = tmp_path / "usable"
    usable.mkdir()
    (usable / "python3").symlink_to(sys.executable)
    old = tmp_path / "old"
    old.mkdir()
    (old / "python3").write_text("#!/bin/sh\nexit 1\n")  # as one that is too old
    (old / "python3").chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHON", "MAKEFLAGS", "MAKELEVEL")}
    path = f"{shims}:{old}:{usable}:{os.environ['PATH']}"
    venv = tmp_path / "environment"
    told = subprocess.run(
        ["make", "-n", f"VENV={venv}", f"{venv}/bin/python"], cwd=ROOT, env=kept | {"PATH": path},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    chosen = re.findall(rf"^(\S+) -m venv {venv}$", told.stdout, re.MULTILINE)
    assert len(chosen) == 1
    version = subprocess.run([chosen[0], "-c", "import sys; print(sys.version_info >= (3, 11))"], capture_output=True)
    assert version.stdout == b"True\n"
