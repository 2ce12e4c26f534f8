"""Fetching large files: resumed where they broke off, checked by size and SHA-256, stopped when asked.

A file appears under its name only when it is complete and correct; until then it is `NAME.part`.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any

from musiscene.errors import BackendUnavailableError, RequestError, StorageError
from musiscene.types import Job

_BLOCK = 1 << 20
_TIMEOUT_S = 20.0
_ATTEMPTS = 4
"""Times that a broken connection is taken up again before it is reported."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A file elsewhere.

    Attributes:
        path: Its name below the folder it is put in.
        url: Where it is.
        size: In bytes; None when unknown.
        sha256: Checked after the download; empty when unknown.
        kept: A file of its name that is there already is taken for it, as far as size and checksum agree.
    """

    path: str
    url: str
    size: int | None = None
    sha256: str = ""
    kept: bool = True


class NotThereError(BackendUnavailableError):
    """The other side knows nothing at that address."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a repository holds at one commit."""

    commit: str
    files: tuple[Remote, ...]


def list_repo(repo_id: str, revision: str, *, endpoint: str, token: str | None = None) -> Listing:
    """The files of a model repository on a Hugging Face hub, with sizes and checksums.

    Raises:
        NotThereError: No such repository or commit.
        BackendUnavailableError: No network, or no access.
        RequestError: `endpoint` is no address.
    """
    endpoint = fetchable(endpoint).rstrip("/")
    url = f"{endpoint}/api/models/{repo_id}/revision/{urllib.parse.quote(revision, safe='')}?blobs=true"
    try:
        with _open(url, token) as response:
            document: dict[str, Any] = json.load(response)
        commit = str(document["sha"])
        files = tuple(
            Remote(
                path=entry["rfilename"],
                url=f"{endpoint}/{repo_id}/resolve/{commit}/{urllib.parse.quote(entry['rfilename'])}",
                size=entry.get("size"),
                sha256=(entry.get("lfs") or {}).get("sha256", ""),
            )
            for entry in document["siblings"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BackendUnavailableError(f"{endpoint} did not answer as a Hugging Face hub does.") from error
    return Listing(commit, files)


def fetchable(url: str) -> str:
    """An address as it can be asked for: without spaces round it, and its characters as addresses have them.

    Raises:
        RequestError: It is not one of http or https, names no computer, or holds a password.
    """
    url = url.strip()
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise RequestError(f"{url!r} is no address: {error}.") from error
    if parts.scheme not in ("http", "https") or not host or any(sign.isspace() for sign in parts.netloc):
        raise RequestError(
            f"{url!r} cannot be fetched: an address like https://example.org/file is needed. "
            "For files on this machine there is `musiscene weights use NAME PATH`."
        )
    if "@" in parts.netloc:
        raise RequestError(
            f"The address of {host} holds a user name or password, which would be kept beside the file. "
            "Fetch it yourself, then run `musiscene weights use NAME PATH`."
        )
    return urllib.parse.quote(url, safe="%/:=&?~#+!$,;'@()*[]")


def mirror(url: str, sha256: str = "") -> Remote:
    """The file at an address, under the name that it has there; one that is here is it only where a checksum tells.

    Raises:
        RequestError: The address cannot be fetched, names no file, or `sha256` is none.
    """
    url = fetchable(url)
    name = urllib.parse.unquote(urllib.parse.urlsplit(url).path.rsplit("/", 1)[-1])
    if name in ("", ".", "..") or set(name) & set("/\\\0"):
        raise RequestError(f"{url} does not end with the name of a file. Name the address of the file itself.")
    sha256 = sha256.strip().lower()
    if sha256 and (len(sha256) != 64 or set(sha256) - set("0123456789abcdef")):
        raise RequestError(f"{sha256!r} is no SHA-256: that has 64 digits of 0-9 and a-f.")
    return Remote(name, url, None, sha256, kept=bool(sha256))


def released(url: str) -> Remote:
    """A file of a GitHub release, with the size and checksum that GitHub names for it where it can be asked."""
    name = urllib.parse.unquote(urllib.parse.urlsplit(url).path.rsplit("/", 1)[-1])
    found = re.fullmatch(r"https://github\.com/([^/]+/[^/]+)/releases/download/([^/]+)/[^/]+", url)
    if found is None:
        return Remote(name, url)
    try:
        with _open(f"https://api.github.com/repos/{found[1]}/releases/tags/{found[2]}", None) as response:
            assets = json.load(response)["assets"]
        asset = next(asset for asset in assets if asset["name"] == name)
    except (BackendUnavailableError, ValueError, KeyError, TypeError, StopIteration):
        return Remote(name, url)
    return Remote(name, url, asset.get("size"), (asset.get("digest") or "").removeprefix("sha256:"))


def fetch_all(
    remotes: tuple[Remote, ...], folder: Path, *, token: str | None = None, job: Job | None = None
) -> dict[str, dict[str, Any]]:
    """Fetch several files into a folder; those that are there and right are kept.

    Returns:
        For each file its size and SHA-256.

    Raises:
        BackendUnavailableError: The network or the other side refused, or a file arrived wrong.
        StorageError: The disk refused, or has too little room.
        Stopped: `job` was stopped; what has arrived is kept for the next time.
    """
    job = job or Job()
    total = sum(remote.size or 0 for remote in remotes)
    missing = sum(max(0, (remote.size or 0) - _present(folder / remote.path)) for remote in remotes)
    _check_room(folder, missing)
    facts: dict[str, dict[str, Any]] = {}
    before = 0

    for remote in remotes:

        def report(done: int, remote: Remote = remote, before: int = before) -> None:
            share = (before + done) / total if total else 0.0
            job.progress(share, f"{remote.path}: {done / 1e6:.0f} of {(remote.size or done) / 1e6:.0f} MB")

        facts[remote.path] = fetch(remote, folder, token=token, on_bytes=report)
        before += remote.size or 0
    return facts


def fetch(
    remote: Remote, folder: Path, *, token: str | None = None, on_bytes: Callable[[int], None] = lambda done: None
) -> dict[str, Any]:
    """Fetch one file into `folder`; returns its size and SHA-256. See `fetch_all`."""
    target = folder / remote.path
    if not target.resolve().is_relative_to(folder.resolve()):
        raise BackendUnavailableError(f"{remote.url} names a file outside its folder: {remote.path!r}.")
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if remote.kept and target.is_file() and remote.size in (None, target.stat().st_size):
            digest = file_sha256(target, on_bytes)
            if remote.sha256 in ("", digest):
                return {"size": target.stat().st_size, "sha256": digest}
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                _append(remote, part, token, on_bytes)
                break
            except (OSError, HTTPException) as error:  # of the connection; the disk's are StorageErrors already
                if attempt == _ATTEMPTS:
                    host = urllib.parse.urlsplit(remote.url).hostname
                    raise BackendUnavailableError(
                        f"{remote.path} could not be fetched from {host}: {_reason(error)}. "
                        "Run the same command again to go on where it stopped."
                    ) from error
        size = part.stat().st_size
        digest = file_sha256(part, lambda done: on_bytes(size))  # the bar stays full; a stop is still noticed
        if remote.sha256 not in ("", digest) or remote.size not in ((None, size) if size else (0,)):
            part.unlink()
            raise BackendUnavailableError(
                f"{remote.path} arrived wrong ({size} bytes, SHA-256 {digest[:12]}…) and was thrown away. "
                "Run the same command again; if it happens twice, the file at its source has changed."
            )
        part.replace(target)
    except OSError as error:
        raise StorageError(f"{target} could not be written: {error.strerror or error}.") from error
    return {"size": size, "sha256": digest}


def file_sha256(path: Path, on_bytes: Callable[[int], None] = lambda done: None) -> str:
    """SHA-256 of a file; `on_bytes` is called with the bytes read so far and may raise to stop."""
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            done += len(block)
            on_bytes(done)
    return digest.hexdigest()


def _append(remote: Remote, part: Path, token: str | None, on_bytes: Callable[[int], None]) -> None:
    done = part.stat().st_size if part.exists() else 0
    if remote.size is not None and done == remote.size:
        return
    if remote.size is not None and done > remote.size:
        part.unlink()
        done = 0
    with _open(remote.url, token, start=done) as response:
        if done and response.status != 206:  # the other side starts over
            done = 0
        if response.headers.get_content_type() == "text/html" and not remote.path.endswith((".html", ".htm")):
            raise BackendUnavailableError(
                f"{urllib.parse.urlsplit(remote.url).hostname} answered with a web page where {remote.path} should be. "
                "Is it the address of a page about the file, or is there a network that asks to log in first?"
            )
        expected = response.headers.get("Content-Length")
        end = done + int(expected) if expected else None
        with part.open("ab" if done else "wb") as file:
            while block := response.read(_BLOCK):
                try:
                    file.write(block)
                except OSError as error:
                    raise StorageError(f"{part} could not be written: {error.strerror or error}.") from error
                done += len(block)
                on_bytes(done)
    if end is not None and done < end:
        raise ConnectionError("the connection broke off")


def _open(url: str, token: str | None, start: int = 0) -> Any:
    request = urllib.request.Request(url, headers={"User-Agent": "musiscene"})
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    if start:
        request.add_header("Range", f"bytes={start}-")
    host = urllib.parse.urlsplit(url).hostname
    try:
        return urllib.request.build_opener(_KeepTokenHome).open(request, timeout=_TIMEOUT_S)
    except ValueError as error:  # of an address that it was sent on to
        raise BackendUnavailableError(f"{host} sends on to an address that cannot be read: {error}.") from error
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (401, 403):
            raise BackendUnavailableError(
                f"{host} gives no access to {_shown(url)} ({error.code}). If the model is gated, ask for access on its "
                "page, then log in with `hf auth login` or set HF_TOKEN."
            ) from error
        if error.code == 404:
            raise NotThereError(f"{host} has no {_shown(url)} (404).") from error
        if 300 <= error.code < 400:
            raise BackendUnavailableError(
                f"{host} sends on from {_shown(url)} to {error.headers.get('Location')}, which cannot be fetched."
            ) from error
        if error.code == 416:
            raise ConnectionError("the part that was there does not fit the file") from error
        raise BackendUnavailableError(f"{host} answered {error.code} for {_shown(url)}. Try again later.") from error
    except urllib.error.URLError as error:
        if start:  # in the middle of a file: worth another attempt
            raise
        raise BackendUnavailableError(
            f"{host} cannot be reached ({_reason(error)}). Without a network, fetch the files elsewhere and name their "
            "folder with `musiscene weights use`."
        ) from error


class _KeepTokenHome(urllib.request.HTTPRedirectHandler):
    """Hubs redirect to storage on other hosts, which must not be shown the access token."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """As the parent, without the token when the host changes."""
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        if new is not None and new.type not in ("http", "https"):
            return None  # the answer is then reported with where it leads
        if new is not None and urllib.parse.urlsplit(newurl).netloc != urllib.parse.urlsplit(req.full_url).netloc:
            new.remove_header("Authorization")
        return new


def _present(path: Path) -> int:
    part = path.with_name(path.name + ".part")
    return path.stat().st_size if path.is_file() else part.stat().st_size if part.is_file() else 0


def _check_room(folder: Path, needed: int) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror or error}.") from error
    if free < needed:
        raise StorageError(f"{folder} needs {needed / 1e9:.1f} GB more, and {free / 1e9:.1f} GB are free there.")


def _shown(url: str) -> str:
    return urllib.parse.urlsplit(url).path.lstrip("/")


def _reason(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    return str(reason) or type(reason).__name__
