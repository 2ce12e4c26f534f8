"""Every weight of the project: where it is published, under which licence, and where it lies on this machine.

Each has a folder `<data folder>/weights/<name>`. A note in it (`weights.json`) is written last, so a folder without
one is not complete. The note holds size and SHA-256 of every file as they arrived (checked against the hub's own
checksums where it has them), so that `verify` can tell whether a file has changed since. It also holds the commit that
the hub named, which is what is fetched from then on, also where the manifest knows a branch only (`PIN` holds it until
the note is written); `download(update=True)` moves on.

Nothing here imports torch until something is converted or looked into.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from musiscene.errors import BackendUnavailableError, ConfigError, RequestError
from musiscene.fetching import Listing, NotThereError, Remote, fetch_all, file_sha256, list_repo, mirror, released
from musiscene.published import MANIFEST, PRECISIONS, Weights, entry, next_step
from musiscene.settings import Settings
from musiscene.types import Job
from musiscene.weight_notes import NOTE, PIN, commit_here, drop, is_commit, make_way, read_note, write_note

__all__ = [
    "MANIFEST",
    "Status",
    "Verification",
    "Weights",
    "convert",
    "download",
    "entry",
    "find",
    "list_all",
    "next_step",
    "status",
    "use",
    "verify",
    "weights_dir",
]


@dataclass(frozen=True, slots=True)
class Status:
    """What is on this machine.

    Attributes:
        weights: What it is about.
        path: Where they are; None when absent.
        size_bytes: What they take; 0 when absent or elsewhere.
        commit: The commit they came from, where that is known.
    """

    weights: Weights
    path: Path | None
    size_bytes: int = 0
    commit: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON layout of `musiscene weights list --json`."""
        weights = self.weights
        return {
            "name": weights.name,
            "here": self.path is not None,
            "path": str(self.path) if self.path else None,
            "size_bytes": self.size_bytes,
            "size_gb": weights.size_gb,
            "repo_id": weights.repo_id,
            "revision": self.commit or weights.revision,
            "license": weights.license,
            "gated": weights.gated,
            "request_url": weights.request_url,
            "summary": weights.summary,
            "next_step": "" if self.path else next_step(weights.name),
        }


@dataclass(frozen=True, slots=True)
class Verification:
    """Result of looking at every file. `problems` is empty when all is well; `commit` is where they came from."""

    name: str
    path: Path
    checked: tuple[str, ...]
    problems: tuple[str, ...] = field(default=())
    commit: str = ""

    @property
    def ok(self) -> bool:
        """Whether every file is what it was when it came."""
        return not self.problems


def weights_dir(given: Path | str | None = None) -> Path:
    """The folder that holds all weights: the one given, else that of the settings."""
    return Path(given) if given is not None else Settings.from_env().data_dir / "weights"


def find(name: str, folder: Path | str | None = None) -> Path | None:
    """Where the weights called `name` lie, or None when they are not (or not completely) here."""
    note = read_note(weights_dir(folder) / entry(name).name)
    if note is None:
        return None
    source = note.get("made_from")
    if source and (made_from := find(source["name"], folder)) and _stamp(made_from) != source["stamp"]:
        return None  # converted from other weights than those that are here now
    path = Path(note["path"]) if note.get("path") else weights_dir(folder) / name
    return path if path.exists() else None


def status(name: str, folder: Path | str | None = None) -> Status:
    """What is here of some weights."""
    path = find(name, folder)
    note = read_note(weights_dir(folder) / name) or {}
    if path is None:
        return Status(entry(name), None)
    size = sum(fact["size"] for fact in note.get("files", {}).values()) or _size(path)
    return Status(entry(name), path, size, note.get("commit", ""))


def list_all(folder: Path | str | None = None) -> Iterator[Status]:
    """Everything in the manifest, with what is here of it."""
    for name in MANIFEST:
        yield status(name, folder)


def use(name: str, path: Path, folder: Path | str | None = None) -> Path:
    """Take weights that lie elsewhere on this machine; they are neither copied nor changed.

    Raises:
        ConfigError: There is nothing at `path`.
        StorageError: The note cannot be written.
    """
    path = path.expanduser().resolve()
    if not path.exists():
        raise ConfigError(f"There is no file or folder {path} to take the {entry(name).name} weights from.")
    write_note(weights_dir(folder) / name, {"path": str(path)})
    return path


def download(
    name: str,
    *,
    folder: Path | str | None = None,
    url: str = "",
    sha256: str = "",
    token: str | None = None,
    endpoint: str | None = None,
    update: bool = False,
    job: Job | None = None,
) -> Path:
    """Fetch some weights, going on where an earlier attempt stopped.

    What the manifest knows by a branch only is fetched at the commit that the hub named the first time.

    Args:
        name: Name in the manifest.
        folder: Folder of all weights; that of the settings when None.
        url: A mirror of a single file, instead of the manifest's repository.
        sha256: What that file must be.
        token: Access token of the hub; the one that `hf auth login` stored when None.
        endpoint: Address of the hub.
        update: Take the commit that the manifest's revision stands for today, instead of the one from the first time.
        job: Told how far it is; may stop it.

    Raises:
        BackendUnavailableError: They are published nowhere, not accessible, not reachable, or arrived wrong.
        RequestError: `url` or `sha256` cannot be used.
        StorageError: The disk refused or is too full.
        Stopped: `job` was stopped.
    """
    weights = entry(name)
    target = weights_dir(folder) / name
    commit = ""
    if sha256 and not url:
        raise RequestError("A SHA-256 belongs to the address of a mirror (--url); the others are known.")
    if url:
        remotes: tuple[Remote, ...] = (_mirror_of(weights, url, sha256, target),)
        url, token = remotes[0].url, token or ""
    elif weights.repo_id:
        from huggingface_hub import constants, get_token

        token = get_token() if token is None else token
        before = commit_here(target, weights.repo_id)
        revision = weights.revision if update or is_commit(weights.revision) else before or weights.revision
        listing = _list(weights, revision, endpoint or constants.ENDPOINT, token)
        remotes = tuple(f for f in listing.files if any(fnmatch(f.path, pattern) for pattern in weights.files))
        commit = listing.commit
        if not remotes:
            raise BackendUnavailableError(
                f"{weights.repo_id} does not hold {', '.join(weights.files)}. Name a copy with `musiscene weights use`."
            )
        if commit != before:
            if before:
                make_way(target, remotes)
            write_note(target, {"repo_id": weights.repo_id, "commit": commit}, PIN)
    elif weights.urls:
        remotes, token = tuple(released(address) for address in weights.urls), ""
    else:
        raise BackendUnavailableError(f"The {name} weights cannot be downloaded. {weights.hint}")
    facts = fetch_all(remotes, target, token=token, job=job)
    for file, fact in facts.items():
        if weights.urls and not fact["sha256"].startswith(weights.digest_prefix):
            (target / file).unlink()
            raise BackendUnavailableError(
                f"{file} arrived with SHA-256 {fact['sha256'][:12]}…, where its publisher names "
                f"{weights.digest_prefix}…; it was thrown away. Download it again, or use another copy."
            )
    write_note(target, {"repo_id": weights.repo_id, "commit": commit, "url": url, "files": facts})
    (target / PIN).unlink(missing_ok=True)
    return target


def _list(weights: Weights, revision: str, endpoint: str, token: str | None) -> Listing:
    try:
        return list_repo(weights.repo_id, revision, endpoint=endpoint, token=token)
    except NotThereError as error:
        gone = f"{endpoint} has no {revision} of {weights.repo_id} (404)."
        step = (
            f"Run `musiscene weights download {weights.name} --update` to take what {weights.revision!r} is there now."
            if revision != weights.revision
            else f"Name a copy with `musiscene weights use {weights.name} PATH`."
        )
        raise BackendUnavailableError(f"{gone} {step}") from error


def _mirror_of(weights: Weights, url: str, sha256: str, target: Path) -> Remote:
    """The one file of some weights at another address.

    What is here from a third address is neither kept as this one's nor gone on with, unless a checksum will tell.
    """
    if weights.repo_id and len(weights.files) > 1:
        raise RequestError(
            f"The {weights.name} weights are several files ({', '.join(weights.files)}); one address cannot stand for "
            f"them. Name a folder with `musiscene weights use {weights.name} PATH`, or a whole hub in HF_ENDPOINT."
        )
    remote = mirror(url, sha256)
    if (read_note(target) or {}).get("url") == remote.url:
        return replace(remote, kept=True)
    if (read_note(target, PIN) or {}).get("url") != remote.url:
        drop(target, f"{remote.path}.part")
        write_note(target, {"url": remote.url}, PIN)
    return remote


def verify(name: str, *, folder: Path | str | None = None, job: Job | None = None) -> Verification:
    """Read every file again and compare it with what arrived; look into those of MU-LLaMA name by name.

    Raises:
        BackendUnavailableError: They are not here.
        Stopped: `job` was stopped.
    """
    path = find(name, folder)
    if path is None:
        raise BackendUnavailableError(f"The {name} weights are not here. {next_step(name)}")
    job = job or Job()
    files: dict[str, Any] = (read_note(weights_dir(folder) / name) or {}).get("files", {})
    problems = []
    for index, (file, fact) in enumerate(files.items()):

        def report(done: int, file: str = file, index: int = index, size: int = fact["size"]) -> None:
            job.progress((index + done / max(size, 1)) / len(files), f"Reading {file}")

        if not (path / file).is_file():
            problems.append(f"{file} is gone")
        elif file_sha256(path / file, report) != fact["sha256"]:
            problems.append(f"{file} has changed since it came")
    if not problems:
        problems += _look_into(name, path, folder)
    commit = status(name, folder).commit
    return Verification(name, path, tuple(files) or (path.name,), tuple(problems), commit)


def convert(name: str, *, folder: Path | str | None = None, dtype: str = "bfloat16", job: Job | None = None) -> Path:
    """Bring published weights once into the form that starts quickly; returns its folder.

    `mu-llama` becomes `mu-llama-merged` (its adapter as safetensors, LLaMA with LoRA added in `dtype`); a SwinBERT's
    `model.bin` becomes safetensors beside it.

    Raises:
        BackendUnavailableError: Not here, damaged, or nothing to convert.
        StorageError: The disk refused or is too full.
        Stopped: `job` was stopped.
    """
    path = find(name, folder)
    if path is None:
        raise BackendUnavailableError(f"The {name} weights are not here. {next_step(name)}")
    job = job or Job()
    if name.startswith("swinbert-"):
        from musiscene.networks import swinbert

        return Path(swinbert.convert(path, weights_dir(folder) / f"{name}-converted"))
    if name != "mu-llama":
        raise BackendUnavailableError(f"The {name} weights are used as they are; there is nothing to convert.")
    import torch

    from musiscene.networks.mu_llama import convert as conversion

    if dtype not in PRECISIONS:
        raise ConfigError(f"{dtype!r} is no precision for weights: choose {', '.join(PRECISIONS)}.")
    precision = getattr(torch, dtype)
    target = weights_dir(folder) / "mu-llama-merged"
    checkpoint = _open_mu_llama(path, folder)
    tokenizer = _base(folder) or (path if path.is_dir() else path.parent)
    conversion.convert(
        checkpoint,
        target,
        dtype=precision,
        tokenizer_from=tokenizer,
        on_progress=lambda share: job.progress(share, "Merging MU-LLaMA"),
    )
    write_note(target, {"files": {}, "made_from": {"name": name, "stamp": _stamp(path)}})
    return target


def _base(folder: Path | str | None) -> Path | None:
    return find("llama-2-7b-chat-hf", folder) or find("llama-2-7b-chat", folder)


def _open_mu_llama(path: Path, folder: Path | str | None) -> Any:
    from musiscene.networks.mu_llama.checkpoint import open_checkpoint

    return open_checkpoint(path, _base(folder))


def _look_into(name: str, path: Path, folder: Path | str | None) -> list[str]:
    """Compare names and shapes with the published tables, where this project knows them and torch is here."""
    from importlib.util import find_spec

    if find_spec("torch") is None or find_spec("transformers") is None:
        return []
    try:
        if name == "mu-llama":
            _open_mu_llama(path, folder)
        elif name == "mu-llama-merged":
            from musiscene.networks.mu_llama.convert import open_converted

            open_converted(path)
        elif name.startswith("swinbert-"):
            from musiscene.networks import swinbert

            swinbert.load(path)
        elif name.startswith("mert-"):
            from musiscene.networks.mert import load_mert

            load_mert(path)
        elif name == "vggish":
            from musiscene.networks import vggish

            vggish.check_trained(vggish.load_vggish(path))
        elif name.startswith("passt-"):
            from musiscene.networks import passt

            passt.check_trained(passt.load_passt(path))
    except BackendUnavailableError as error:
        return [str(error)]
    return []


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in _files_of(path))


def _stamp(path: Path) -> list[list[Any]]:
    """What tells some weights from others without reading them: name, size and time of every file."""
    facts = [(file.name, file.stat()) for file in _files_of(path) if file.name != NOTE]
    return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in facts]


def _files_of(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
