"""The Space is the repository: what has to hold before it is pushed, and the push.

The keys are those of the Hub's "Spaces Configuration Reference" and "Using ZeroGPU" (2026-08).
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from musiscene.errors import ConfigError

_COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
_TEXT, _LIST, _FLAG = "text", "list", "flag"
KEYS = {
    **dict.fromkeys(
        ("title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file", "app_port",
         "base_path", "license", "short_description", "thumbnail", "header", "suggested_hardware",
         "startup_duration_timeout", "hf_oauth_expiration_minutes", "hf_oauth_authorized_org"), _TEXT),
    **dict.fromkeys(("models", "datasets", "tags", "preload_from_hub", "hf_oauth_scopes", "custom_headers"), _LIST),
    **dict.fromkeys(("fullWidth", "pinned", "hf_oauth", "disable_embedding"), _FLAG),
}  # fmt: skip
"""Documented key of the front matter -> what it holds. `suggested_storage` is gone: that disk is no longer offered."""

_NEEDED = ("title", "emoji", "sdk", "sdk_version", "python_version", "app_file", "license", "short_description")
ZERO_GPU_PYTHON = ("3.12", "3.10")
ZERO_GPU_TORCH = ("2.8.0", "2.9.1", "2.10.0", "2.11.0")
GPU_MODELS = ("facebook/musicgen-small", "Qwen/Qwen3-4B-Instruct-2507")
"""What a ZeroGPU Space has on its disk before it starts: the networks of the paper's profile that anybody may fetch."""
GPU_VARIABLES = {"MUSISCENE_MUSICGEN": GPU_MODELS[0]}
"""Settings of such a Space: its weights are in the Hub's own cache, where only what is named is looked for."""
_START_S = 180.0

LEFT_OUT = (
    "tests/**", "benchmarks/**", "train/**", "docs/**", ".ci/**", ".venv*/**", "*.egg-info/**", "**/__pycache__/**",
    ".*_cache/**", ".hypothesis/**", "screenshots/**", "data/**", "assets/studies/**", ".git/**", ".env*",
    "**/*.part.*", "*.db", "*.log",
)  # fmt: skip
"""What a Space does not need, and what must never leave this machine."""


def front_matter(readme: str) -> dict[str, Any]:
    """The YAML block at the top of a README.

    Raises:
        ConfigError: There is none.
    """
    import yaml  # comes with gradio

    found = re.match(r"---\n(.*?)\n---\n", readme, re.DOTALL)
    values = yaml.safe_load(found[1]) if found else None
    if not isinstance(values, dict):
        raise ConfigError("README.md has no front matter: it begins with a block between two lines of three dashes.")
    return values


def problems(root: Path) -> list[str]:
    """What is wrong with the Space in `root`, one sentence each; nothing is started."""
    values = front_matter((root / "README.md").read_text("utf-8"))
    found = [f"README.md: {key} is no documented key." for key in values if key not in KEYS]
    found += [f"README.md: {key} is missing." for key in _NEEDED if not values.get(key)]
    for key, value in values.items():
        wanted = {_LIST: (list, dict), _FLAG: (bool,), _TEXT: (str, int, float)}.get(KEYS.get(key, ""), (object,))
        if not isinstance(value, wanted) or (KEYS.get(key) == _TEXT and isinstance(value, bool)):
            found.append(f"README.md: {key} does not hold what it should ({value!r}).")
    found += [
        f"README.md: {key} is {values[key]!r}, which is no colour of the Hub."
        for key in ("colorFrom", "colorTo")
        if key in values and values[key] not in _COLOURS
    ]
    if values.get("sdk") != "gradio":
        found.append("README.md: sdk is not gradio.")
    if len(str(values.get("short_description", ""))) > 60:
        found.append("README.md: short_description is longer than 60 characters.")
    for key in ("app_file", "thumbnail"):
        named = str(values.get(key) or "")
        if named and "://" not in named and not (root / named).is_file():
            found.append(f"README.md: {key} names {named}, which is not there.")
    return [*found, *_versions(root, values)]


def _versions(root: Path, values: dict[str, Any]) -> Iterator[str]:
    python = str(values.get("python_version", ""))
    named = _line(root / ".python-version")
    if named != python:
        yield f".python-version says {named or 'nothing'}, README.md says {python}."
    if not python.startswith(ZERO_GPU_PYTHON):
        yield f"ZeroGPU runs Python {' or '.join(ZERO_GPU_PYTHON)}, not {python}."
    torch = _line(root / "pre-requirements.txt").removeprefix("torch==")
    if torch not in ZERO_GPU_TORCH:
        yield f"pre-requirements.txt: ZeroGPU runs torch {', '.join(ZERO_GPU_TORCH)}, not {torch or 'none'}."
    core = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    lines = {line.strip() for line in (root / "requirements.txt").read_text("utf-8").splitlines()}
    for missing in sorted(set(core) - lines):
        yield f"requirements.txt lacks {missing}."


def _line(path: Path) -> str:
    """The first line of a file that is no comment."""
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    return next((line.strip() for line in lines if line.strip() and not line.startswith("#")), "")


def clean_environment(root: Path, folder: Path) -> Path:
    """Install `requirements.txt` into a new virtual environment in `folder`; return its Python.

    It is the Python of the Space where this machine has that one, else the one that runs this.

    Raises:
        ConfigError: They cannot be installed.
    """
    version = _line(root / ".python-version")
    if not _made_with(f"python{version}", version, root, folder):
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "-r", "requirements.txt"]
    if subprocess.run(install, cwd=root, check=False).returncode:
        raise ConfigError("requirements.txt cannot be installed; pip said why above.")
    return python


def _made_with(python: str, version: str, root: Path, folder: Path) -> bool:
    """Make an environment in `folder` with that Python; False where it is not here, whatever pyenv calls so."""
    try:
        told = subprocess.run([python, "--version"], cwd=root, capture_output=True, text=True, check=False)
        if not told.stdout.startswith(f"Python {version}."):
            return False
        return (
            subprocess.run([python, "-m", "venv", folder], cwd=root, capture_output=True, check=False).returncode == 0
        )
    except OSError:
        return False


@contextmanager
def started(root: Path, python: Path, folder: Path) -> Iterator[str]:
    """Run the app as a Space runs it, on folders of its own; the address of its page.

    Raises:
        ConfigError: It did not start, or its first page is not one.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MUSISCENE_", "HF_"))}
    environment |= {
        "SPACE_ID": "someone/musiscene", "SYSTEM": "spaces", "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": str(port), "GRADIO_TEMP_DIR": str(folder / "uploads"),
        "MUSISCENE_DATA_DIR": str(folder / "data"), "MUSISCENE_WORK_DIR": str(folder / "work"),
    }  # fmt: skip
    app = str(front_matter((root / "README.md").read_text("utf-8"))["app_file"])
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen([python, app], cwd=root, env=environment, stdout=log, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + _START_S
        while True:
            if process.poll() is not None or time.monotonic() > end:
                raise ConfigError(f"The app did not start. Its last words: {(folder / 'log.txt').read_text()[-600:]}")
            try:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    page = answer.read().decode("utf-8", "replace")
                break
            except OSError:
                time.sleep(0.2)
        if "MusiScene" not in page:
            raise ConfigError("The first page does not name MusiScene.")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def files_to_push(root: Path, repo_id: str = "", *, gpu: bool = False) -> dict[str, bytes | Path]:
    """What a Space of this repository holds: path in it -> content.

    Args:
        root: The checkout.
        repo_id: The Space.
        gpu: Add torch, the neural backends' packages and the weights to fetch, for a ZeroGPU Space; without, it stays
            without torch.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root, check=True, capture_output=True,
    ).stdout.decode()  # fmt: skip
    from fnmatch import fnmatch

    names = [n for n in listed.split("\0") if n and not any(fnmatch(n, pattern) for pattern in LEFT_OUT)]
    found: dict[str, bytes | Path] = {name: root / name for name in sorted(set(names)) if (root / name).is_file()}
    found |= _gallery(root)
    if gpu:
        extras = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
        more = [line for line in extras["models"] if not line.startswith("torch")]
        text = (root / "requirements.txt").read_text("utf-8")
        found["requirements.txt"] = (text + "\n".join(more) + "\n").encode()
    else:
        found.pop("pre-requirements.txt", None)
    readme = (root / "README.md").read_text("utf-8")
    if repo_id:  # the Hub wants an address here, and only now is it known
        picture = f"/spaces/{repo_id}/resolve/main/"
        readme = readme.replace("\nthumbnail: ", f"\nthumbnail: https://huggingface.co{picture}", 1)
    if gpu:
        models = "".join(f"\n  - {model}" for model in GPU_MODELS)
        keys = f"suggested_hardware: zero-a10g\nmodels:{models}\npreload_from_hub:{models}\n"
        readme = readme.replace("\n---\n", f"\n{keys}---\n", 1)
    if repo_id or gpu:
        found["README.md"] = readme.encode()
    return found


def _gallery(root: Path) -> dict[str, bytes | Path]:
    """What `make gallery` has made. Git is told to ignore it, but visitors of a Space are to find it."""
    folder = root / "gallery"
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    inside = {path.relative_to(root): path for path in paths}
    return {str(name): path for name, path in inside.items() if not any(part.startswith(".") for part in name.parts)}


def push(root: Path, repo_id: str, *, gpu: bool = False, private: bool = False) -> str:
    """Make the Space `repo_id` if it is not there, and commit this repository to it; return its address.

    Raises:
        ConfigError: The name is none, something is wrong with the Space, or the Hub refused.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError

    if not re.fullmatch(r"[\w.-]{1,96}/[\w.-]{1,96}", repo_id):
        raise ConfigError(f"A Space is named OWNER/NAME, not {repo_id!r}.")
    if wrong := problems(root):
        raise ConfigError(" ".join(wrong))
    api = HfApi()
    operations = [CommitOperationAdd(name, content) for name, content in files_to_push(root, repo_id, gpu=gpu).items()]
    try:
        api.create_repo(repo_id, repo_type="space", space_sdk="gradio", private=private, exist_ok=True)
        for name, value in GPU_VARIABLES.items() if gpu else ():
            api.add_space_variable(repo_id, name, value)
        api.create_commit(repo_id, operations, commit_message="MusiScene", repo_type="space")
    except (HfHubHTTPError, OSError) as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        hint = " Log in with `hf auth login`, with a token that may write." if status in (401, 403) else ""
        raise ConfigError(f"The Hub did not take the Space ({status or type(error).__name__}).{hint}") from None
    return f"{api.endpoint}/spaces/{repo_id}"
