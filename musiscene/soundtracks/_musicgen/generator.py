"""The `musicgen` backend at work: texts to waveforms, all captions of a clip in one batch."""

from __future__ import annotations

import itertools
import logging
import math
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from musiscene.errors import BackendUnavailableError, RequestError
from musiscene.networks.mu_llama.memory import memory_free
from musiscene.networks.musicgen.codec import CodecStream, settled
from musiscene.networks.musicgen.decoder import MusicgenDecoder
from musiscene.networks.musicgen.generate import generate_codes
from musiscene.networks.musicgen.melody import prefix
from musiscene.networks.musicgen.sampling import Sampling
from musiscene.soundtracks._musicgen import TEXT_TOKENS
from musiscene.soundtracks._musicgen.finish import finished
from musiscene.soundtracks._musicgen.loading import LICENSE, Loaded, start_token
from musiscene.soundtracks._musicgen.melodies import heard, listen, settings_of
from musiscene.soundtracks._musicgen.tiers import is_out_of_memory, rows_at_once
from musiscene.soundtracks._musicgen.windows import Window, read_sections, text_at, windows
from musiscene.types import Job, ScoreRequest, Soundtrack, Waveform

_log = logging.getLogger(__name__)

MAX_DURATION_S = 600.0
_PLACES = 64
"""Texts of a melody model are padded to a multiple of this: its padding is read, so it must not depend on the batch."""
_PIECE_FRAMES = 100
"""Frames that are decoded at once while the rest is written (2 s)."""

Numbered: TypeAlias = tuple[int, ScoreRequest]
"""A request with its number among all that were asked for."""


@dataclass
class _Batch:
    """Requests of one duration that are made together, and what is known of them.

    Attributes:
        share: Where the batch begins in the whole work, and how much of it it is.
        note: Said with the progress, and kept with the soundtracks.
        tunes: Sound that each row follows; of no samples where it follows none.
        cut: Numbers of the requests whose text was longer than what is read.
        told: Number of a request -> samples of it that were told already, by a batch that did not fit.
    """

    numbered: list[Numbered]
    share: tuple[float, float]
    note: str = ""
    tunes: list[Waveform] = field(default_factory=list)
    cut: set[int] = field(default_factory=set)
    told: dict[int, int] = field(default_factory=dict)

    @property
    def requests(self) -> list[ScoreRequest]:
        return [request for _, request in self.numbered]

    def parts(self, size: int, note: str) -> list[_Batch]:
        """The same in batches of `size`."""
        each = self.share[1] / len(self.numbered)
        cut = [self.numbered[first : first + size] for first in range(0, len(self.numbered), size)]
        return [
            _Batch(part, (self.share[0] + each * size * i, each * len(part)), note, told=self.told)
            for i, part in enumerate(cut)
        ]


class MusicgenGenerator:
    """Makes music with a loaded MusicGen. One batch at a time: the memory of a device is one."""

    def __init__(self, loaded: Loaded, sampling: Sampling | None = None) -> None:
        self.loaded = loaded
        self.model = loaded.model
        self.sampling = sampling or Sampling()
        int8, pad = loaded.tier.precision == "int8", start_token(self.model)
        self.decoder = MusicgenDecoder(self.model.decoder, int8=int8, packed=True, pad=pad)
        del self.model.decoder  # its weights are rearranged in ours; kept twice they would take twice the memory
        # EnCodec is a twentieth of the work, and its output is what is heard: always in full precision.
        self.codec = settled(self.model.audio_encoder.float().to(loaded.tier.codec_device))
        self.sample_rate = int(self.codec.config.sampling_rate)
        # Not the config's own, which is rounded up: places in time would slip where it is no whole number.
        self.frame_rate = self.sample_rate / math.prod(self.codec.config.upsampling_ratios)
        self.chroma = None if self.decoder.looks_at_text else settings_of(self.model, loaded.chroma)
        self._lock = threading.Lock()

    def generate(self, requests: Sequence[ScoreRequest], job: Job) -> Iterator[Soundtrack]:
        """Yield one soundtrack for each request; those of one duration are made in one batch."""
        for request in requests:
            if not 0 < request.duration_s <= MAX_DURATION_S:
                raise RequestError(f"Music can be up to {MAX_DURATION_S:g} seconds long, not {request.duration_s:g}.")
            read_sections(request.overrides)
            if request.melody is not None and self.chroma is None:
                raise RequestError(
                    f"{self.loaded.name} cannot follow a melody. Use the weights musicgen-melody, or leave it out."
                )
        done = 0
        for _, run in itertools.groupby(enumerate(requests), key=lambda numbered: self._kind_of_batch(numbered[1])):
            numbered = list(run)
            batch = _Batch(numbered, (done / len(requests), len(numbered) / len(requests)))
            while not self._lock.acquire(timeout=0.1):
                job.progress(batch.share[0], "Waiting for another person's music")
            try:
                made = self._fitting(batch, job)
            finally:
                self._lock.release()
            yield from made
            done += len(numbered)

    def _kind_of_batch(self, request: ScoreRequest) -> tuple[float, tuple[float, ...], int]:
        """What requests made together agree in: length, changes of text and, in melody models, the room for words."""
        sections = read_sections(request.overrides)
        texts = [request.caption.text, *(text for _, text in sections)]
        places = 0 if self.chroma is None else max(self._places(text) for text in texts)
        return request.duration_s, tuple(sorted(start_s for start_s, _ in sections)), places

    def _places(self, text: str) -> int:
        tokens = min(len(self.loaded.tokenizer(text)["input_ids"]), TEXT_TOKENS)
        return -(-tokens // _PLACES) * _PLACES

    # -- memory --------------------------------------------------------------------------------------------------

    def _fitting(self, batch: _Batch, job: Job) -> list[Soundtrack]:
        """Make a batch in as many parts as the free memory asks for."""
        length = max(window.end - window.start for window in self._plan(batch)) + 8
        if self.chroma is not None:
            length += int(self.model.config.chroma_length) + TEXT_TOKENS
        per_row = 2.0 * self.decoder.bytes_per_row(length) + 4.0 * batch.requests[0].duration_s * self.sample_rate
        size, note = rows_at_once(memory_free(self.loaded.tier.device), per_row, len(batch.numbered))
        if note:
            _log.info("%s", note)
        parts = [batch] if not note else batch.parts(size, note)
        return [track for part in parts for track in self._halving(part, job)]

    def _halving(self, batch: _Batch, job: Job) -> list[Soundtrack]:
        """Make a batch; in halves when it does not fit after all."""
        rows = len(batch.numbered)
        try:
            return self._make(batch, job)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if rows == 1:
                raise BackendUnavailableError(
                    f"There is not enough memory for {batch.requests[0].duration_s:.0f} s of music. "
                    "Ask for less, or use a smaller model."
                ) from error
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        half = (rows + 1) // 2
        note = f"the memory was too small for {rows} soundtracks at once, so they were made {half} at a time"
        _log.warning("%s", note)
        job.progress(batch.share[0], f"Not enough memory for {rows} at once: going on with {half}")
        return [track for part in batch.parts(half, note) for track in self._halving(part, job)]

    def _plan(self, batch: _Batch) -> list[Window]:
        request = batch.requests[0]
        frames = max(1, math.ceil(request.duration_s * self.frame_rate))
        return windows(frames, self.frame_rate, [start_s for start_s, _ in read_sections(request.overrides)])

    # -- music ---------------------------------------------------------------------------------------------------

    def _make(self, batch: _Batch, job: Job) -> list[Soundtrack]:
        started = time.perf_counter()
        requests, duration_s = batch.requests, batch.requests[0].duration_s
        plan = self._plan(batch)
        frames = plan[-1].end
        if self.chroma is not None:
            batch.tunes = [
                np.zeros((1, 0), np.float32) if r.melody is None else listen(r.melody, self.chroma, duration_s, job)
                for r in requests
            ]
        sounds = _Sounds(self, batch, frames, job)
        codes: Tensor | None = None
        for window in plan:
            states, mask, before = self._conditions(batch, window)

            def report(step: int, steps: int, window: Window = window) -> None:
                written = window.known + (window.end - window.known) * step / steps
                note = f"{written / self.frame_rate:.0f} of {frames / self.frame_rate:.0f} s written"
                job.progress(batch.share[0] + batch.share[1] * 0.99 * written / frames, note)

            new = generate_codes(
                self.decoder,
                states,
                mask,
                window.end - window.start,
                seeds=[_window_seed(request.seed, window.known) for request in requests],
                sampling=self.sampling,
                prompt=None if codes is None else codes[..., window.start :],
                prefix=before,
                progress=report,
                written=sounds.push,
                written_every=_PIECE_FRAMES,
            )
            codes = new if codes is None else torch.cat([codes, new[..., window.known - window.start :]], dim=-1)
        waveforms = sounds.whole()
        seconds = (time.perf_counter() - started) / len(requests)
        return [
            Soundtrack(
                waveform=finished(waveform, self.sample_rate, duration_s),
                sample_rate=self.sample_rate,
                caption=request.caption,
                backend="musicgen",
                seed=request.seed,
                seconds=seconds,
                provenance=self._provenance(request, plan, batch) | {"text_cut": number in batch.cut},
            )
            for (number, request), waveform in zip(batch.numbered, waveforms, strict=True)
        ]

    def _conditions(self, batch: _Batch, window: Window) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor] | None]:
        """What a window's music is made from: states of the texts, their mask, and the prefix of a melody model."""
        at_s = window.known / self.frame_rate
        texts = [text_at(read_sections(r.overrides), at_s, r.caption.text) for r in batch.requests]
        full = self.loaded.tokenizer(texts)["input_ids"]
        for (number, _), ids in zip(batch.numbered, full, strict=True):
            if len(ids) > TEXT_TOKENS:
                batch.cut.add(number)
        places = self._kind_of_batch(batch.requests[0])[2]
        padding: dict[str, Any] = (
            {"padding": "max_length", "max_length": places} if places else {"padding": True, "max_length": TEXT_TOKENS}
        )
        inputs = self.loaded.tokenizer(texts, truncation=True, return_tensors="pt", **padding).to(self.decoder.device)
        mask: Tensor = inputs["attention_mask"]
        with torch.inference_mode():
            states = self.model.text_encoder(input_ids=inputs["input_ids"], attention_mask=mask).last_hidden_state
            if hasattr(self.model, "enc_to_dec_proj"):
                states = self.model.enc_to_dec_proj(states)
        if self.chroma is None:
            return states, mask, None
        told, untold = [], []
        for row, tune in enumerate(batch.tunes):  # each alone: tunes may be of different lengths, or missing
            melody = heard(tune, window.start / self.frame_rate, self.chroma) if tune.size else None
            with_text, without = prefix(
                self.model, states[row : row + 1], mask[row : row + 1], None if melody is None else melody.to(states)
            )
            told.append(with_text)
            untold.append(without)
        return states, mask, (torch.cat(told), torch.cat(untold))

    def _provenance(self, request: ScoreRequest, plan: list[Window], batch: _Batch) -> dict[str, Any]:
        loaded = self.loaded
        known: dict[str, Any] = {
            "model": loaded.name,
            "revision": loaded.revision,
            "license": LICENSE,
            "computed_on": loaded.tier.reason,
            "precision": loaded.tier.precision,
            "temperature": self.sampling.temperature,
            "top_k": self.sampling.top_k,
            "guidance": self.sampling.guidance,
            "seams_s": [round(window.known / self.frame_rate, 2) for window in plan[1:]],
            "sections": [[at_s, text] for at_s, text in read_sections(request.overrides) if at_s < request.duration_s],
        }
        if loaded.reason:
            known["chosen"] = loaded.reason
        if batch.note:
            known["batch"] = batch.note
        if request.melody is not None:
            known["melody"] = request.melody.path.name
        return known


class _Sounds:
    """The sound of a batch, decoded while it is written and told to whoever listens."""

    def __init__(self, generator: MusicgenGenerator, batch: _Batch, frames: int, job: Job) -> None:
        self.batch, self.frames, self.job = batch, frames, job
        self.sample_rate = generator.sample_rate
        self.device = generator.loaded.tier.codec_device
        # On a processor row by row, which takes the least memory and stops the soonest; on a GPU all at once.
        rows = len(batch.numbered)
        self.size = 1 if self.device == "cpu" else rows
        self.streams = [
            CodecStream(generator.codec, generator.decoder.channels, job.check) for _ in range(0, rows, self.size)
        ]
        self.pieces: list[list[Waveform]] = [[] for _ in range(rows)]
        self.known = 0

    def push(self, codes: Tensor) -> None:
        """Take the next codes `(rows, codebooks, frames)`."""
        self.known += codes.shape[-1]
        parts = torch.split(codes.to(self.device), self.size)
        for stream, part in zip(self.streams, parts, strict=True):
            self._tell(stream, stream.push(part, last=self.known >= self.frames))

    def _tell(self, stream: CodecStream, samples: Tensor) -> None:
        first = self.streams.index(stream) * self.size
        if not samples.shape[-1]:
            return
        pieces = samples.cpu().numpy().astype(np.float32)
        if not np.isfinite(pieces).all():
            raise BackendUnavailableError(
                "The codec in MusicGen's weights gives no numbers instead of sound. Run `musiscene weights verify`."
            )
        for row, piece in enumerate(pieces, start=first):
            number, begin = self.batch.numbered[row][0], sum(known.shape[-1] for known in self.pieces[row])
            self.pieces[row].append(piece)
            new = piece[:, max(0, self.batch.told.get(number, 0) - begin) :]
            if new.shape[-1]:
                self.batch.told[number] = begin + piece.shape[-1]
                self.job.heard(number, new, self.sample_rate)

    def whole(self) -> list[Waveform]:
        """All sound so far, one waveform for each row."""
        return [np.concatenate(pieces, axis=-1) for pieces in self.pieces]


def _window_seed(seed: int, known: int) -> int:
    """Another stream of randomness for each window, or a window would repeat the choices of the one before."""
    return seed if known == 0 else (seed * 1_000_003 + known) % 2**62
