"""Where a clip's file is: in the media folder under one of the usual names, or fetched if that is asked for."""

from __future__ import annotations

import fcntl
import importlib
import json
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from musiscene.errors import BackendUnavailableError, ConfigError, MediaError
from train.dataset.config import Dataset, Fetch
from train.dataset.sources import MEDIA_SUFFIXES, PICTURES, Row

_UNAVAILABLE = ".unavailable.jsonl"


class Fetcher(Protocol):
    """A plug-in that gets clips from elsewhere. It is made with the configuration's `fetch` table."""

    def fetch(self, video_id: str, start_s: float, end_s: float, folder: Path) -> Path:
        """Put the clip into `folder` and return its path.

        Raises:
            MediaError: This clip cannot be had; others may.
            BackendUnavailableError: Nothing can be fetched here.
        """
        ...


class Places:
    """Finds the files of rows. The folder is looked through once."""

    def __init__(self, config: Dataset) -> None:
        self._folder = config.source.media
        self._fetcher = make_fetcher(config.fetch) if config.fetch.enabled else None
        self._stems: dict[str, list[Path]] | None = None

    def find(self, row: Row) -> tuple[Path, bool]:
        """A row's file, and whether it begins with the clip (else with the video).

        Raises:
            MediaError: It is not there and cannot be fetched.
        """
        if row.get("path"):
            path = Path(row["path"])
            if not path.is_file():
                raise MediaError(f"There is no file {path.name} in {path.parent}.")
            return path, False
        video, start, end = row["video_id"], float(row["start_s"]), float(row["end_s"])
        for stem in _stems(video, start, end):
            found = self._index().get(stem)
            if found:
                return min(found, key=lambda path: (path.suffix.lower() not in PICTURES, path.name)), stem not in (
                    video,
                    f"Y{video}",
                )
        if self._fetcher is not None and self._folder is not None:
            return self._fetcher.fetch(video, start, end, self._folder), True
        raise MediaError(f"There is no media file for {video} in {self._folder}.")

    def _index(self) -> dict[str, list[Path]]:
        if self._stems is None:
            self._stems = defaultdict(list)
            for path in sorted(self._folder.rglob("*")) if self._folder else ():
                if path.suffix.lower() in MEDIA_SUFFIXES:
                    self._stems[path.stem].append(path)
        return self._stems


def make_fetcher(fetch: Fetch) -> Fetcher:
    """The fetcher that the configuration names.

    Raises:
        ConfigError: There is no such plug-in.
    """
    module, _, name = fetch.plugin.partition(":")
    try:
        made: Fetcher = getattr(importlib.import_module(module), name)(fetch)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"fetch.plugin {fetch.plugin!r} is no module:Class that can be loaded: {error}.") from error
    return made


class YtDlp:
    """Fetches with the program yt-dlp: one clip at a time, with pauses; what is not available is not asked twice."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    def fetch(self, video_id: str, start_s: float, end_s: float, folder: Path) -> Path:
        """See `Fetcher`."""
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"{video_id}_{start_s:g}_{end_s:g}"
        with _alone(folder):
            there = _finished(folder, stem)
            if there is not None:
                return there
            reason = self._known(folder).get(video_id)
            if reason is None:
                reason = self._ask(video_id, start_s, end_s, folder / f"{stem}.%(ext)s")
                time.sleep(self._fetch.pause_s)
        there = _finished(folder, stem)
        if there is None:
            self._remember(folder, video_id, reason)
            raise MediaError(f"{video_id} could not be fetched: {reason}.")
        return there

    def _ask(self, video_id: str, start_s: float, end_s: float, target: Path) -> str:
        height = self._fetch.max_height
        command: list[str] = [
            *(self._fetch.command, "--no-playlist", "--quiet", "--no-warnings", "--continue", "--no-overwrites"),
            *("--retries", "3", "--sleep-requests", "1", "--download-sections", f"*{start_s:g}-{end_s:g}"),
            *("--force-keyframes-at-cuts", "--merge-output-format", "mkv"),
            *("--format", f"bv*[height<={height}]+ba/b[height<={height}]/b", "--output", str(target)),
            f"https://www.youtube.com/watch?v={video_id}",
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=self._fetch.timeout_s, check=False)
        except FileNotFoundError as error:
            raise BackendUnavailableError(
                f"The program {self._fetch.command} is not installed: `pip install yt-dlp`, or fetch.enabled = false."
            ) from error
        except subprocess.TimeoutExpired:
            return f"no answer within {self._fetch.timeout_s:g} s"
        said = done.stderr.strip().splitlines()
        return said[-1].removeprefix("ERROR: ").rstrip(".") if said else f"yt-dlp ended with code {done.returncode}"

    def _known(self, folder: Path) -> dict[str, str]:
        path = folder / _UNAVAILABLE
        if not path.is_file():
            return {}
        lines: list[dict[str, Any]] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return {line["video_id"]: line["reason"] for line in lines}

    def _remember(self, folder: Path, video_id: str, reason: str) -> None:
        if video_id not in self._known(folder):
            with (folder / _UNAVAILABLE).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"video_id": video_id, "reason": reason}) + "\n")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One request at a time, whichever process makes it."""
    with (folder / ".fetch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _finished(folder: Path, stem: str) -> Path | None:
    found = [path for path in folder.glob("*") if path.stem == stem and path.suffix.lower() in MEDIA_SUFFIXES]
    return found[0] if found else None


def _stems(video: str, start: float, end: float) -> Iterator[str]:
    """The names that copies of AudioSet use, those with times first: such a file begins with the clip."""
    whole = [f"{start:g}_{end:g}", f"{start:g}", f"{int(start)}_{int(end)}", f"{int(start)}"]
    milliseconds = [f"{round(start * 1000)}_{round(end * 1000)}", f"{round(start * 1000)}"]
    for times in (*whole, f"{start:.3f}_{end:.3f}", *milliseconds):
        yield from (f"{video}_{times}", f"Y{video}_{times}")
    yield from (video, f"Y{video}")
