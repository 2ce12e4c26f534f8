"""The pages about backends are true: the table names every one, and the files that are there to be copied work."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from musiscene.registry import discover

ROOT = Path(__file__).parents[1]
EXAMPLES = {"length": "captions", "drone": "soundtracks"}

CONTRACT = """
import importlib.util, sys
from pathlib import Path
import musiscene
assert Path(musiscene.__file__).is_relative_to(Path.cwd()), musiscene.__file__
import pytest
sys.exit(pytest.main([
    "-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-c", "pyproject.toml", "tests/test_contract.py",
    "tests/test_registry.py", "-k", "length or drone or spec or backend", "-W", "ignore", "--no-header", "-rA",
]))
"""


def files() -> dict[str, str]:
    """Name of a documented module -> its text."""
    text = (ROOT / "docs" / "adding-a-backend.md").read_text("utf-8")
    return dict(re.findall(r"`musiscene/\w+/(\w+)\.py`.*?```python\n(.*?)```", text, re.DOTALL))


def test_the_table_names_every_backend() -> None:
    """With what it writes, and its licence."""
    table = (ROOT / "docs" / "backends.md").read_text("utf-8")
    rows = re.findall(r"^\| `([\w-]+)`(?: \(\w+\))? \| (.*)$", table, re.MULTILINE)
    for stage in ("captions", "soundtracks"):
        for spec in discover(stage):
            licence = spec.license.split()[0].rstrip(",;") if spec.license else ""
            mine = [cells for name, cells in rows if name == spec.name]
            assert any(licence in cells or "names none" in cells for cells in mine), spec.name
            for kind in spec.produces:
                assert any(kind.value in cells.split("|")[0] for cells in mine), (spec.name, kind)


@pytest.mark.slow
def test_the_files_to_copy_are_backends(tmp_path: Path) -> None:
    """Copied into a copy of the package they are found, keep the contract, pass mypy and ruff, and work as commands."""
    assert files().keys() == EXAMPLES.keys()
    for folder in ("musiscene", "tests"):
        kept = shutil.ignore_patterns("__pycache__", "e2e", "train", "networks_*") if folder == "tests" else None
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=kept or shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    for name, text in files().items():
        (tmp_path / "musiscene" / EXAMPLES[name] / f"{name}.py").write_text(text, "utf-8")
    mine = [f"musiscene/{stage}/{name}.py" for name, stage in EXAMPLES.items()]

    contract = subprocess.run(
        [sys.executable, "-c", CONTRACT], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert contract.returncode == 0, contract.stdout[-3000:]
    passed = re.findall(r"PASSED \S*test_contract\.py::\S*\[(length|drone)", contract.stdout)
    assert {"length", "drone"} == set(passed), contract.stdout[-3000:]

    ruff = subprocess.run(
        [sys.executable, "-m", "ruff", "check", *mine], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ruff.returncode == 0, ruff.stdout

    words = ["score", "a calm piece", "--generator", "drone", "--duration", "2", "--out", "drone.wav"]
    made = subprocess.run(
        [sys.executable, "-m", "musiscene", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "drone.wav").stat().st_size > 100_000
