"""Hearing thousands of files: decoded ahead of the networks, batched over clips, kept on disk, going on after a stop.

A few clips are in memory at a time, however many there are. What was heard is stored under a name made of the file's
and the weights' facts, so that a second run, or one that goes on after a stop, hears only what is new.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from musiscene.errors import MusisceneError, Stopped, StorageError, explain
from musiscene.metrics.listeners import Inputs, Listener, Vectors
from musiscene.metrics.sound_files import Failure, Mono, Remark, Sound, file_facts, read_mono
from musiscene.types import Job, Limits

_GROUP = 8
"""Clips (or pairs) whose windows are heard together."""
_READERS = 2


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard of one clip, or of several that belong together.

    Attributes:
        sounds: The clip, or generated and reference.
        vectors: Listener -> vectors `(n, width)` for each of `sounds`; a listener that lacks one of them is not in.
        failures: What went wrong.
        remarks: What is to be known about a clip that was heard.
    """

    sounds: tuple[Sound, ...]
    vectors: dict[str, tuple[Vectors, ...]] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    remarks: tuple[Remark, ...] = ()


class Store:
    """On disk, nothing without a folder: vectors, one small file for each clip and listener, and remarks on clips."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, key: str) -> Vectors | None:
        """What was stored under `key`, or None; a damaged file counts as none."""
        if self._folder is None:
            return None
        try:
            stored: Vectors = np.load(self._path(key, "npy"), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return stored

    def put(self, key: str, vectors: Vectors) -> None:
        """Store `vectors` under `key`.

        Raises:
            StorageError: The disk refused.
        """
        self._write(self._path(key, "npy"), lambda file: np.save(file, vectors))

    def remark(self, facts: Sequence[object]) -> str:
        """What was noted of the file with these facts; empty when nothing was."""
        if self._folder is None:
            return ""
        try:
            return self._path(_remark_key(facts), "txt").read_text("utf-8")
        except (OSError, ValueError):
            return ""

    def note(self, facts: Sequence[object], remark: str) -> None:
        """Store a remark on the file with these facts; one that says nothing is not stored.

        Raises:
            StorageError: The disk refused.
        """
        if remark:
            self._write(self._path(_remark_key(facts), "txt"), lambda file: file.write(remark.encode()))

    def _write(self, path: Path, write: Callable[[BinaryIO], object]) -> None:
        if self._folder is None:
            return
        from musiscene.media import atomic_path

        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(path) as part, part.open("wb") as file:
                write(file)
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror or error}.") from error

    def _path(self, key: str, kind: str) -> Path:
        return (self._folder or Path()) / key[:2] / f"{key}.{kind}"


def _remark_key(facts: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(["remark", facts]).encode()).hexdigest()


@dataclass(slots=True)
class _Task:
    sounds: tuple[Sound, ...]
    keys: dict[tuple[str, int], str] = field(default_factory=dict)
    vectors: dict[tuple[str, int], Vectors] = field(default_factory=dict)
    inputs: dict[tuple[str, int], Inputs] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    remarks: dict[Sound, str] = field(default_factory=dict)


def listen(
    groups: Sequence[tuple[Sound, ...]],
    listeners: Sequence[Listener],
    *,
    store: Store | None = None,
    limits: Limits | None = None,
    job: Job | None = None,
    same_length: bool = True,
) -> Iterator[Heard]:
    """Hear every clip with every listener, in the order given.

    Args:
        groups: Single clips, or clips that belong together.
        listeners: Who hears them.
        store: Where results are kept.
        limits: What a file may be.
        job: Told how far it is; may stop it.
        same_length: Clips that belong together are cut to the shortest of them first.

    Raises:
        StorageError: Results cannot be stored.
        Stopped: `job` was stopped; what was heard is kept in the store.
    """
    job = job or Job()
    store = store or Store(None)
    chunks = [groups[start : start + _GROUP] for start in range(0, len(groups), _GROUP)]

    def prepare(group: tuple[Sound, ...]) -> _Task:
        return _prepare(group, listeners, store, limits, job, same_length)

    with ThreadPoolExecutor(_READERS, thread_name_prefix="listen") as readers:
        waiting: list[Future[_Task]] = [readers.submit(prepare, group) for group in chunks[0]] if chunks else []
        done = 0
        try:
            for index in range(len(chunks)):
                tasks = []
                for future in waiting:
                    tasks.append(_result(future, job))
                waiting = (
                    [readers.submit(prepare, group) for group in chunks[index + 1]] if index + 1 < len(chunks) else []
                )
                for listener in listeners:
                    _hear(tasks, listener, store, job)
                for task in tasks:
                    done += 1
                    job.progress(done / len(groups), f"{done} of {len(groups)} clips heard")
                    yield _heard(task, listeners)
        finally:
            for future in waiting:
                future.cancel()


def _result(future: Future[_Task], job: Job) -> _Task:
    while True:
        try:
            return future.result(timeout=0.1)
        except TimeoutError:
            job.check()


def _prepare(
    group: tuple[Sound, ...],
    listeners: Sequence[Listener],
    store: Store,
    limits: Limits | None,
    job: Job,
    same_length: bool,
) -> _Task:
    """What is stored, and the inputs of what is not."""
    task = _Task(group)
    try:
        facts = [file_facts(sound.path) for sound in group]
    except OSError:
        facts = []  # the reader below will say what is wrong
    for listener in listeners:
        for place in range(len(group)):
            partners = facts if same_length and len(group) > 1 else facts[place : place + 1]
            described = json.dumps([listener.identity, place, partners]).encode()
            key = task.keys[listener.name, place] = hashlib.sha256(described).hexdigest()
            stored = store.get(key) if facts else None
            if stored is not None and len(stored):
                task.vectors[listener.name, place] = stored
    wanted = [slot for slot in task.keys if slot not in task.vectors]
    if facts:
        task.remarks = {sound: store.remark(fact) for sound, fact in zip(group, facts, strict=True)}
    if not wanted:
        return task
    monos: list[Mono | None] = []
    for sound in group:
        try:
            read = read_mono(sound.path, job, limits)
            monos.append(read)
            task.remarks[sound] = f"{sound.path.name} {read.remark}." if read.remark else ""
        except Stopped:
            raise
        except (MusisceneError, OSError, MemoryError) as error:
            monos.append(None)
            task.failures.append(Failure(sound.name, sound.path, explain(error, f"reading {sound.path.name}")))
    for sound, fact in zip(group, facts, strict=False):
        store.note(fact, task.remarks[sound])  # before the vectors: where they are kept, it is too
    if same_length and len(group) > 1:
        if None in monos:
            return task  # without its partner a clip is not used
        shortest = min(mono.duration_s for mono in monos if mono is not None)
        monos = [mono.cut(shortest) for mono in monos if mono is not None]
    by_name = {listener.name: listener for listener in listeners}
    for name, place in wanted:
        mono = monos[place]
        if mono is None:
            continue
        job.check()
        inputs = by_name[name].prepare(mono)
        if inputs.parts:
            task.inputs[name, place] = inputs
        else:
            sound = group[place]
            task.failures.append(Failure(sound.name, sound.path, f"{sound.path.name} {inputs.why_none}.", name))
    return task


def _hear(tasks: Sequence[_Task], listener: Listener, store: Store, job: Job) -> None:
    """Hear the inputs of several clips in batches of one shape each."""
    slots = [
        (task, (name, place)) for task in tasks for (name, place) in list(task.inputs) if name == listener.name
    ]  # fmt: skip
    if not slots:
        return
    by_shape: dict[tuple[int, ...], list[tuple[int, int, NDArray[np.float32]]]] = {}
    results: list[list[Vectors | None]] = []
    for number, (task, slot) in enumerate(slots):
        parts = task.inputs.pop(slot).parts
        results.append([None] * len(parts))
        for position, part in enumerate(parts):
            by_shape.setdefault(part.shape, []).append((number, position, part))
    check: Callable[[], None] = job.check
    for same in by_shape.values():
        for start in range(0, len(same), listener.batch):
            batch = same[start : start + listener.batch]
            vectors = listener.hear([part for _, _, part in batch], check)
            for (number, position, _), vector in zip(batch, vectors, strict=True):
                results[number][position] = vector
    for (task, slot), found in zip(slots, results, strict=True):
        stacked = np.stack([vector for vector in found if vector is not None])
        store.put(task.keys[slot], stacked)
        task.vectors[slot] = stacked


def _heard(task: _Task, listeners: Sequence[Listener]) -> Heard:
    vectors = {}
    for listener in listeners:
        found = [task.vectors.get((listener.name, place)) for place in range(len(task.sounds))]
        if all(vector is not None for vector in found):
            vectors[listener.name] = tuple(vector for vector in found if vector is not None)
    remarks = tuple(Remark(sound.name, sound.path, text) for sound, text in task.remarks.items() if text)
    return Heard(task.sounds, vectors, tuple(task.failures), remarks)
