"""Builds audiocraft's environment.

    python -m musiscene.soundtracks._audiocraft.install [FOLDER]

audiocraft 1.3.0 pins a PyTorch of 2023, so it cannot be installed beside ours; without its pins it runs on ours. The
environment therefore sees this one's packages (PyTorch, transformers) and adds audiocraft and what only it needs,
each without its own requirements.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from musiscene.errors import BackendUnavailableError, MusisceneError

PACKAGES = (
    "audiocraft==1.3.0",
    "torchaudio==2.11.0",
    "xformers==0.0.35",
    "flashy==0.0.2",
    "julius==0.2.8",
    "demucs==4.1.0",
    "openunmix==1.3.0",
    "dora-search==0.1.13",
    "omegaconf==2.4.0",
    "torchmetrics>=1.9,<2",
    "lightning-utilities>=0.15",
    "einops>=0.8,<1",
    "num2words>=0.5.14",
    "colorlog>=6",
    "retrying>=1.4",
    "submitit>=1.5",
    "treetable>=0.2.5",
    "lameenc>=1.8",
)
"""With these and without their own requirements, generation, progress and melodies have been seen to work."""

NEEDED_HERE = ("torch", "transformers")


def default_folder() -> Path:
    """Where the environment is looked for when the settings do not say: beside the checkout, else with the data."""
    checkout = Path(__file__).resolve().parents[3]
    if (checkout / "pyproject.toml").is_file():
        return checkout / ".venv-audiocraft"
    from musiscene.settings import Settings

    return Settings.from_env().data_dir / "audiocraft-environment"


def interpreter(folder: Path) -> Path:
    """The Python of the environment in `folder`."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def complete(folder: Path) -> bool:
    """Whether an environment was built there to the end, for this Python's packages."""
    note = folder / "musiscene-ready"
    try:
        return interpreter(folder).exists() and note.read_text("utf-8") == _stamp()
    except OSError:
        return False


def _stamp() -> str:
    return "\n".join((sysconfig.get_path("purelib"), *PACKAGES))


def build(folder: Path) -> None:
    """Build the environment, or complete one that was begun.

    Raises:
        BackendUnavailableError: A package cannot be had; the message says which step failed.
    """
    import importlib.util

    lacking = [name for name in NEEDED_HERE if importlib.util.find_spec(name) is None]
    if lacking:
        raise BackendUnavailableError(
            f"audiocraft's environment shares {' and '.join(lacking)} with this one: "
            "run `pip install 'musiscene[models]'` first."
        )
    (folder / "musiscene-ready").unlink(missing_ok=True)
    venv.EnvBuilder(with_pip=False, symlinks=os.name != "nt", clear=False).create(folder)
    python = interpreter(folder)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / ("Lib" if os.name == "nt" else f"lib/{version}") / "site-packages"
    (packages / "musiscene-shared.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--python", str(python))
    installed = subprocess.run((*pip, "install", "--no-deps", *PACKAGES), check=False)
    if installed.returncode:
        raise BackendUnavailableError("A package of audiocraft's environment could not be installed; see above.")
    worker = Path(__file__).with_name("worker.py")
    trial = f"import runpy; runpy.run_path({str(worker)!r})['prepare'](); import audiocraft.models"
    tried = subprocess.run((str(python), "-c", trial), capture_output=True, text=True, check=False)
    if tried.returncode:
        last = (tried.stderr.strip().splitlines() or ["no message"])[-1]
        raise BackendUnavailableError(f"audiocraft was installed in {folder} and cannot be imported: {last}")
    (folder / "musiscene-ready").write_text(_stamp(), encoding="utf-8")


def main() -> int:
    """Build it where the argument, or else the default, says."""
    parser = argparse.ArgumentParser(description="Build the environment of the audiocraft backend.")
    parser.add_argument("folder", nargs="?", type=Path, default=default_folder())
    folder: Path = parser.parse_args().folder.expanduser().resolve()
    try:
        if not complete(folder):
            build(folder)
    except MusisceneError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{folder} is ready.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
