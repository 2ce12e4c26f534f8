"""What is written twice agrees."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import gradio

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
