"""Asking a clip's sound: all questions of a clip in one batch, answers looked at before they are given."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from musiscene.captions._mu_llama import guards, questions
from musiscene.captions._mu_llama.features import fingerprint, remembered
from musiscene.captions._mu_llama.loading import Loaded
from musiscene.captions._mu_llama.options import Options, feature_folder
from musiscene.errors import BackendError, MissingStreamError, RequestError
from musiscene.media import read_audio
from musiscene.networks.mert import WINDOW_S, listen, prepared
from musiscene.networks.mu_llama.convert import export_for_clip
from musiscene.networks.mu_llama.decoder import TunedRows
from musiscene.networks.mu_llama.generate import Sampling, stream
from musiscene.networks.mu_llama.tokenizer import TextStream
from musiscene.registry import BackendSpec
from musiscene.types import Caption, CaptionKind, CaptionRequest, Clip, Job

_ATTEMPTS = 2
_LISTENING = 0.3
"""Share of the progress that reading and listening take."""
MAX_QUESTION = 1000
"""Longest question of a person, in characters."""


@dataclass
class Row:
    """One question of a batch and its answer."""

    kind: CaptionKind
    question: str
    place: int
    number: int = 0
    """Of the request that it belongs to."""
    text: str = ""
    tokens: int = 0
    trouble: str = ""
    attempts: int = 0
    truncated: bool = False


@dataclass
class Heard:
    """What was heard of a clip."""

    pooled: Tensor
    listened_s: float
    cached: bool


@dataclass
class MuLlamaCaptioner:
    """Music captions by MU-LLaMA and scenes by MusiScene, from one loaded LLaMA."""

    spec: BackendSpec
    loaded: Loaded
    options: Options
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def describe(self, request: CaptionRequest, job: Job) -> Iterator[Caption]:
        """Yield the music caption, the scene, or both, each as soon as its answer has passed the guards.

        Raises:
            MissingStreamError: There is no sound.
            BackendError: The network gave no answer, twice.
            Stopped: `job` was stopped.
        """
        for _, caption in self.describe_many([request], job):
            yield caption

    def describe_many(self, requests: Sequence[CaptionRequest], job: Job) -> Iterator[tuple[int, Caption]]:
        """Yield the captions of several requests, each with the number of its own; all rows are one batch.

        A row hears its own clip and draws from its own seed, so an answer is the one that it would be alone.

        Raises:
            MissingStreamError: One of the clips has no sound.
            BackendError: The network gave no answer to one of them, twice.
            Stopped: `job` was stopped.
        """
        began = time.perf_counter()
        rows = [row for number, request in enumerate(requests) for row in self._rows(request.kinds, number)]
        if not rows:
            return
        heard = [
            self.hear(request.music, _share_of(job, number, len(requests))) for number, request in enumerate(requests)
        ]
        seeds = [request.seed for request in requests]
        unfinished = sorted({(row.number, row.kind != CaptionKind.MUSIC, row.kind) for row in rows})
        for attempt in range(_ATTEMPTS):
            todo = [row for row in rows if not row.attempts or row.trouble]
            if todo:
                with self._waiting(job):
                    self._answer(todo, heard, seeds, job)
            last = attempt + 1 == _ATTEMPTS
            for each in list(unfinished):
                number, _, kind = each
                mine = [row for row in rows if (row.number, row.kind) == (number, kind)]
                if last or not any(row.trouble for row in mine):
                    unfinished.remove(each)
                    seconds = time.perf_counter() - began
                    yield number, self._caption(kind, mine, heard[number], seeds[number], seconds)

    def ask(self, clip: Clip, question: str, *, seed: int = 0, job: Job | None = None) -> Iterator[str]:
        """Yield the answer to a person's own question about a clip's music, piece by piece as it is written.

        Args:
            clip: What is listened to.
            question: In English; the template is put around it.
            seed: The same question with the same seed gets the same answer.
            job: May stop it.

        Raises:
            RequestError: The question is empty or too long.
            MissingStreamError: There is no sound.
            Stopped: `job` was stopped.
        """
        job = job or Job()
        question = question.strip()
        if not question:
            raise RequestError("Ask something about the music, such as “What instruments do you hear?”")
        if len(question) > MAX_QUESTION:
            raise RequestError(f"The question has {len(question)} characters; at most {MAX_QUESTION} are read.")
        terms = self._terms(CaptionKind.MUSIC, self.hear(clip, job))
        with self._waiting(job):
            yield from self._written(question, terms, seed, job)

    def _written(self, question: str, terms: Tensor, seed: int, job: Job) -> Iterator[str]:
        """Pieces of an answer."""
        text, seen, started = TextStream(self.loaded.tokenizer), list[int](), False
        for (token,) in stream(
            self.loaded.decoder,
            [self.loaded.tokenizer.prompt(question)],
            music_terms=terms,
            sampling=self._sampling,
            seeds=[seed],
            graph=self._graph,
        ):
            if token is None:
                break
            seen.append(token)
            piece = text.add(token)
            if not started:  # the answer begins without its leading space
                piece = piece.lstrip()
                started = bool(piece)
            if piece:
                yield piece
            job.progress(_LISTENING + (1 - _LISTENING) * _share(len(seen)), f"{len(seen)} words and signs")
            if guards.is_looping(seen):
                break

    def export(self, clip: Clip, folder: Path, *, job: Job | None = None) -> Path:
        """Write a plain Llama that has heard a clip: any program that runs one with biases answers about the music.

        Beside it lie the tokenizer and `prompt.txt`, the template that questions belong in.

        Raises:
            MissingStreamError: There is no sound.
            StorageError: The disk refused, or has too little room.
            Stopped: `job` was stopped.
        """
        job = job or Job()
        terms = self._terms(CaptionKind.MUSIC, self.hear(clip, job))
        export_for_clip(
            self.loaded.checkpoint,
            terms[0],
            folder,
            dtype=self.loaded.dtype,
            tokenizer_from=self.loaded.tokenizer_folder,
            on_progress=lambda share: job.progress(_LISTENING + (1 - _LISTENING) * share, "Writing the model"),
        )
        return folder

    def hear(self, clip: Clip | None, job: Job) -> Heard:
        """Listen to a clip, or remember what was heard of the same sound before.

        Raises:
            MissingStreamError: There is no sound.
            MediaError: It is too short.
            Stopped: `job` was stopped.
        """
        if clip is None or not clip.has_audio:
            raise MissingStreamError("There is no sound to describe: choose a video with sound, or a music track.")
        if clip.audio_silent:
            raise MissingStreamError("The sound of this file is silent, so there is nothing to describe.")
        whole = self.options.whole_track
        job.progress(0.0, "Reading the sound")
        audio = read_audio(clip, duration_s=None if whole else WINDOW_S, job=Job(stop=job.stop))
        mono = prepared(audio.waveform, audio.sample_rate)
        job.progress(0.05, "Listening")
        mert = self.loaded.mert

        def listening(share: float) -> None:
            job.progress(0.05 + (_LISTENING - 0.05) * share, "Listening")

        features, cached = remembered(
            feature_folder(self.options),
            fingerprint(mono, f"{mert.identity} whole={whole}"),
            lambda: listen(mert, mono, whole=whole, on_progress=listening).cpu().numpy(),
        )
        seconds = len(mono) / 24_000
        return Heard(torch.from_numpy(features), seconds if whole else min(seconds, WINDOW_S), cached)

    @property
    def _sampling(self) -> Sampling:
        return Sampling(self.options.temperature, self.options.top_p, self.options.max_new)

    @property
    def _graph(self) -> bool | None:
        """Quantised kernels look at their data, which a captured graph cannot."""
        return False if self.loaded.bits else None

    def _rows(self, kinds: frozenset[CaptionKind], number: int) -> list[Row]:
        asked: list[tuple[CaptionKind, str]] = []
        if CaptionKind.MUSIC in kinds:
            asked += [(CaptionKind.MUSIC, q) for q in (questions.DESCRIBE, *questions.ASIDE)]
        if CaptionKind.MSI in kinds:
            asked.append((CaptionKind.MSI, questions.SCENE))
        # A row's place goes into its seed and depends on its question only, not on what else is asked.
        everything = (questions.DESCRIBE, *questions.ASIDE, questions.SCENE)
        return [Row(kind, question, everything.index(question), number) for kind, question in asked]

    def _terms(self, kind: CaptionKind, heard: Heard) -> Tensor:
        loaded = self.loaded
        scenes = loaded.scenes if kind == CaptionKind.MSI else None
        pooled = heard.pooled.to(loaded.device)
        if scenes is None:
            return loaded.listener.terms(loaded.decoder, pooled, blend=loaded.blend)
        return scenes.listener.terms(loaded.decoder, pooled, tuning=scenes.tuning, blend=loaded.blend)

    def _answer(self, rows: Sequence[Row], heard: Sequence[Heard], seeds: Sequence[int], job: Job) -> None:
        """Answer all rows in one batch, each hearing the clip of its request."""
        loaded = self.loaded
        rows = sorted(rows, key=lambda row: row.kind == CaptionKind.MSI)  # those of another tuning lie together
        wanted = dict.fromkeys((row.kind, row.number) for row in rows)
        terms = {(kind, number): self._terms(kind, heard[number]) for kind, number in wanted}
        scene_rows = slice(sum(row.kind != CaptionKind.MSI for row in rows), len(rows))
        tuned = None
        if loaded.scenes is not None and loaded.scenes.tuning is not None and scene_rows.start < scene_rows.stop:
            tuned = TunedRows(loaded.scenes.tuning, scene_rows)
        written: list[list[int]] = [[] for _ in rows]
        ended = [False] * len(rows)
        for tokens in stream(
            loaded.decoder,
            [loaded.tokenizer.prompt(row.question) for row in rows],
            music_terms=torch.cat([terms[row.kind, row.number] for row in rows]),
            tuned=tuned,
            sampling=self._sampling,
            seeds=[_row_seed(seeds[row.number], row.place, row.attempts) for row in rows],
            graph=self._graph,
        ):
            for index, token in enumerate(tokens):
                if token is None:
                    ended[index] = True
                else:
                    written[index].append(token)
            longest = max(len(answer) for answer in written)
            job.progress(_LISTENING + (1 - _LISTENING) * _share(longest), f"Writing: {longest} words and signs")
            if all(done or guards.is_looping(answer) for done, answer in zip(ended, written, strict=True)):
                break
        for row, answer, done in zip(rows, written, ended, strict=True):
            row.attempts += 1
            row.tokens = len(answer)
            row.text = loaded.tokenizer.decode(answer).strip()
            row.truncated = not done and len(answer) >= self.options.max_new
            row.trouble = guards.trouble(row.text, row.question)

    def _caption(self, kind: CaptionKind, rows: Sequence[Row], heard: Heard, seed: int, seconds: float) -> Caption:
        main = rows[0]
        text = guards.cleaned(main.text, main.question) if main.trouble else guards.printable(main.text)
        text = guards.finished(text) if main.truncated else text
        if not any(letter.isalnum() for letter in text):
            raise BackendError(
                f"MU-LLaMA's {kind} caption {main.trouble or 'is empty'}, {main.attempts} times. "
                "Try another seed, or write the caption yourself."
            )
        evidence: dict[str, object] = {
            "answers": [
                {"question": row.question.strip(), "answer": guards.printable(row.text)}
                for row in rows[1:]
                if not row.trouble
            ],
            "listened_s": round(heard.listened_s, 2),
            "tokens": main.tokens,
            "weights": self.loaded.weights,
            "device": self.loaded.device,
            "precision": self.loaded.precision,
            "seed": seed,
        }
        if kind == CaptionKind.MSI:
            adapted = self.loaded.scenes is not None
            evidence["imagined_by"] = "a MusiScene adapter" if adapted else "MU-LLaMA zero-shot (no MusiScene adapter)"
        if main.trouble:
            evidence["warning"] = f"The answer {main.trouble}, also with another seed; what is usable of it is kept."
        elif main.attempts > 1:
            evidence["retried"] = main.attempts - 1
        return Caption(kind, text, self.spec.name, prompt=main.question, seconds=seconds, evidence=evidence)

    @contextmanager
    def _waiting(self, job: Job) -> Iterator[None]:
        """One batch at a time: the memory that was looked at before loading is that of one."""
        while not self._turn.acquire(timeout=0.1):
            job.check()
        try:
            yield
        finally:
            self._turn.release()


def _row_seed(seed: int, place: int, attempt: int) -> int:
    return (seed * 1_000_003 + place * 7_919 + attempt * 104_729) % 2**63


def _share_of(job: Job, number: int, count: int) -> Job:
    """A job for the listening to one of several clips."""
    return Job(report=lambda fraction, note: job.report((number * _LISTENING + fraction) / count, note), stop=job.stop)


def _share(tokens: int) -> float:
    """How far an answer of unknown length probably is: half way at 48 tokens."""
    return 1.0 - float(0.5 ** (tokens / 48))
