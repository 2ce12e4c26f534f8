"""The `audiocraft` backend at work: requests go to its process, sound comes back."""

from __future__ import annotations

import itertools
import logging
import math
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from musiscene.errors import BackendUnavailableError, RequestError
from musiscene.media import read_audio
from musiscene.soundtracks._audiocraft.process import OutOfMemory, WorkerProcess
from musiscene.soundtracks._musicgen.finish import finished
from musiscene.types import Job, ScoreRequest, Soundtrack

_log = logging.getLogger(__name__)

MAX_DURATION_S = 600.0
_MELODY_RATE = 44100
_Batch: TypeAlias = "list[tuple[int, ScoreRequest]]"
"""Requests with their numbers."""

_SAMPLING = {"use_sampling": True, "top_k": 250, "top_p": 0.0, "temperature": 1.0, "cfg_coef": 3.0}
"""The authors' defaults."""


class AudiocraftGenerator:
    """Makes music with the package's own generation. One batch at a time.

    Args:
        python: Interpreter of audiocraft's environment.
        model: Folder with `state_dict.bin` and `compression_state_dict.bin`, or a name that the package knows.
        text_encoder: Folder of T5's weights; where the package finds it when None.
        name: What the model is called in the provenance.
        revision: The commit of the hub that the weights came from; empty when that is not known.
        offline: Whether nothing may be fetched.
    """

    def __init__(
        self,
        python: Path,
        model: str,
        text_encoder: Path | None,
        name: str,
        *,
        revision: str = "",
        offline: bool = True,
    ) -> None:
        self._python, self._model, self._text_encoder = python, model, text_encoder
        self._name, self._revision = name, revision
        self._environment = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"} if offline else {}
        self._process: WorkerProcess | None = None
        self._facts: dict[str, Any] = {}
        self._lock = threading.Lock()

    def generate(self, requests: Sequence[ScoreRequest], job: Job) -> Iterator[Soundtrack]:
        """Yield one soundtrack for each request; those of one duration are made in one batch."""
        for request in requests:
            if not 0 < request.duration_s <= MAX_DURATION_S:
                raise RequestError(f"Music can be up to {MAX_DURATION_S:g} seconds long, not {request.duration_s:g}.")
            if request.overrides.get("sections"):
                raise RequestError("audiocraft keeps one text to the end. Use the musicgen generator for sections.")
        done = 0
        told: dict[int, int] = {}
        for _, run in itertools.groupby(enumerate(requests), key=lambda numbered: numbered[1].duration_s):
            batch = list(run)
            share = (done / len(requests), len(batch) / len(requests))
            while not self._lock.acquire(timeout=0.1):
                job.progress(share[0], "Waiting for another person's music")
            try:
                made = self._halving(batch, job, share, told)
            finally:
                self._lock.release()
            yield from made
            done += len(batch)

    def close(self) -> None:
        """End the process; it is started anew when it is needed."""
        if self._process is not None:
            self._process.close()

    def _ready(self, job: Job, share: float) -> WorkerProcess:
        if self._process is None or not self._process.alive:
            job.progress(share, "Starting audiocraft")
            process = WorkerProcess(self._python, self._environment)
            order = {"do": "load", "model": self._model, "text_encoder": str(self._text_encoder or "")}
            try:
                self._facts = process.ask(order, job.check, lambda *_: None)["ready"]
            except BaseException:
                process.close()
                raise
            self._process = process
        return self._process

    def _halving(
        self, batch: _Batch, job: Job, share: tuple[float, float], told: dict[int, int], note: str = ""
    ) -> list[Soundtrack]:
        """Make a batch, in halves when it does not fit into memory; `told` is how many samples of each were heard."""
        try:
            tracks = self._make(batch, job, share, told)
            return (
                [replace(track, provenance={**track.provenance, "batch": note}) for track in tracks] if note else tracks
            )
        except OutOfMemory as error:
            if len(batch) == 1:
                raise BackendUnavailableError(
                    f"There is not enough memory for {batch[0][1].duration_s:.0f} s of music. "
                    "Ask for less, or use a smaller model."
                ) from error
        half = (len(batch) + 1) // 2
        _log.warning("audiocraft: out of memory with %d soundtracks; going on with %d at once", len(batch), half)
        job.progress(share[0], f"Not enough memory for {len(batch)} at once: going on with {half}")
        note = f"the memory was too small for {len(batch)} soundtracks at once, so they were made {half} at a time"
        first, rest = share[1] * half / len(batch), share[1] * (len(batch) - half) / len(batch)
        return [
            *self._halving(batch[:half], job, (share[0], first), told, note),
            *self._halving(batch[half:], job, (share[0] + first, rest), told, note),
        ]

    def _make(self, numbered: _Batch, job: Job, share: tuple[float, float], told: dict[int, int]) -> list[Soundtrack]:
        process = self._ready(job, share[0])
        started = time.perf_counter()
        batch = [request for _, request in numbered]
        duration_s = batch[0].duration_s
        if any(request.melody is not None for request in batch) and not self._facts["melody"]:
            raise RequestError(f"{self._name} cannot follow a melody. Use musicgen-melody, or leave it out.")

        furthest = 0.0

        def progress(group: int, groups: int, done: int, total: int) -> None:
            # Beyond one window the package names the window's length as the whole, and counts what it repeats again.
            nonlocal furthest
            total = max(total, math.ceil(duration_s * 50))
            furthest = max(furthest, (group + min(1.0, done / total)) / groups)
            job.progress(share[0] + share[1] * 0.95 * furthest, f"{done} of about {total} steps")

        with tempfile.TemporaryDirectory(prefix="musiscene-audiocraft-") as name:
            folder = Path(name)
            order = {
                "do": "make",
                "folder": name,
                "duration_s": duration_s,
                "melody_rate": _MELODY_RATE,
                "sampling": _SAMPLING,
                "requests": [
                    {
                        "text": request.caption.text,
                        "seed": request.seed,
                        "melody": self._tune(request, row, folder, job),
                    }
                    for row, request in enumerate(batch)
                ],
            }

            def heard(pieces: Sequence[tuple[int, str]], begin: int) -> None:
                for row, file in pieces:
                    number, piece = numbered[row][0], np.load(folder / file, allow_pickle=False)
                    new = piece[:, max(0, told.get(number, 0) - begin) :]  # a batch that is halved is written anew
                    if new.shape[-1]:
                        told[number] = begin + piece.shape[-1]
                        job.heard(number, new, int(self._facts["sample_rate"]))

            answer = process.ask(order, job.check, progress, heard)
            waveforms = [np.load(folder / file, allow_pickle=False) for file in answer["made"]]
        seconds = (time.perf_counter() - started) / len(batch)
        rate = int(self._facts["sample_rate"])
        return [
            Soundtrack(
                waveform=finished(waveform, rate, duration_s),
                sample_rate=rate,
                caption=request.caption,
                backend="audiocraft",
                seed=request.seed,
                seconds=seconds,
                provenance={
                    "model": self._name,
                    "revision": self._revision,
                    "license": "CC-BY-NC-4.0",
                    "package": "audiocraft 1.3.0",
                    "computed_on": f"{self._facts['device']}, PyTorch {self._facts['torch']}",
                    "temperature": _SAMPLING["temperature"],
                    "top_k": _SAMPLING["top_k"],
                    "guidance": _SAMPLING["cfg_coef"],
                    "seams_s": self._seams(duration_s),
                    **({"melody": request.melody.path.name} if request.melody else {}),
                },
            )
            for request, waveform in zip(batch, waveforms, strict=True)
        ]

    def _seams(self, duration_s: float) -> list[float]:
        """The package continues from the last 12 s, in strides of 18 s beyond its longest window."""
        longest, stride = float(self._facts["longest_s"]), 18.0
        return [float(at) for at in np.arange(longest, duration_s, stride)]

    def _tune(self, request: ScoreRequest, row: int, folder: Path, job: Job) -> str | None:
        if request.melody is None:
            return None
        sound = read_audio(
            request.melody, sample_rate=_MELODY_RATE, mono=True, duration_s=request.duration_s, job=Job(stop=job.stop)
        )
        if not sound.waveform.size or not np.abs(sound.waveform).max() > 0:
            raise RequestError(f"{request.melody.path.name} is silent, so there is no tune to follow in it.")
        path = folder / f"melody-{row}.npy"
        np.save(path, sound.waveform)
        return str(path)
