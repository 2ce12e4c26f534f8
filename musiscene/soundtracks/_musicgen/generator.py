"""The `musicgen` backend at work: texts to waveforms, all captions of a clip in one batch."""

from __future__ import annotations

import itertools
import logging
import math
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from musiscene.errors import BackendUnavailableError, RequestError
from musiscene.media import fit_duration
from musiscene.networks.musicgen.codec import decode
from musiscene.networks.musicgen.decoder import MusicgenDecoder
from musiscene.networks.musicgen.generate import generate_codes
from musiscene.networks.musicgen.sampling import Sampling
from musiscene.soundtracks._musicgen.loading import Loaded
from musiscene.soundtracks._musicgen.windows import Window, text_at, windows
from musiscene.types import Job, ScoreRequest, Soundtrack

_log = logging.getLogger(__name__)

MAX_DURATION_S = 600.0
_FADE_S = 1.5
_WORDS_MAX = 256
"""Tokens of a text that are read; what is longer is cut, and provenance says so."""


class MusicgenGenerator:
    """Makes music with a loaded MusicGen. One batch at a time: the memory of a device is one."""

    def __init__(self, loaded: Loaded, sampling: Sampling | None = None) -> None:
        self.loaded = loaded
        self.model = loaded.model
        self.sampling = sampling or Sampling()
        self.decoder = MusicgenDecoder(self.model.decoder)
        self.codec = self.model.audio_encoder.float()  # a twentieth of the work, and its output is what is heard
        self.sample_rate = int(self.codec.config.sampling_rate)
        self.frame_rate = float(self.codec.config.frame_rate)
        self._lock = threading.Lock()

    def generate(self, requests: Sequence[ScoreRequest], job: Job) -> Iterator[Soundtrack]:
        """Yield one soundtrack for each request; those of one duration are made in one batch."""
        for request in requests:
            if not 0 < request.duration_s <= MAX_DURATION_S:
                raise RequestError(f"Music can be up to {MAX_DURATION_S:g} seconds long, not {request.duration_s:g}.")
        runs = [list(run) for _, run in itertools.groupby(requests, key=lambda request: request.duration_s)]
        done = 0
        for run in runs:
            share = (done / len(requests), len(run) / len(requests))
            while not self._lock.acquire(timeout=0.1):
                job.progress(share[0], "Waiting for another person's music")
            try:
                made = self._batch(run, job, share)
            finally:
                self._lock.release()
            yield from made
            done += len(run)

    def _batch(self, requests: list[ScoreRequest], job: Job, share: tuple[float, float]) -> list[Soundtrack]:
        """Make a batch, in halves when it does not fit into memory."""
        try:
            return self._make(requests, job, share)
        except (torch.cuda.OutOfMemoryError, MemoryError) as error:
            if len(requests) == 1:
                raise BackendUnavailableError(
                    f"There is not enough memory for {requests[0].duration_s:.0f} s of music. "
                    "Ask for less, or use a smaller model."
                ) from error
        torch.cuda.empty_cache()
        half = len(requests) // 2
        _log.warning("out of memory with %d rows; going on with %d at once", len(requests), half)
        first, rest = share[1] * half / len(requests), share[1] * (len(requests) - half) / len(requests)
        return [
            *self._batch(requests[:half], job, (share[0], first)),
            *self._batch(requests[half:], job, (share[0] + first, rest)),
        ]

    def _make(self, requests: list[ScoreRequest], job: Job, share: tuple[float, float]) -> list[Soundtrack]:
        started = time.perf_counter()
        duration_s = requests[0].duration_s
        frames = max(1, math.ceil(duration_s * self.frame_rate))
        plan = windows(frames, self.frame_rate)
        codes: Tensor | None = None
        cut_words = False
        for window in plan:
            texts = [text_at(_sections(r), window.known / self.frame_rate, r.caption.text) for r in requests]
            states, mask, was_cut = self._encoded(texts)
            cut_words |= was_cut
            prompt = None if codes is None else codes[..., window.start :]

            def report(step: int, steps: int, window: Window = window) -> None:
                written = window.known + (window.end - window.known) * step / steps
                job.progress(
                    share[0] + share[1] * 0.95 * written / frames, f"{written / self.frame_rate:.0f} s written"
                )

            new = generate_codes(
                self.decoder,
                states,
                mask,
                window.end - window.start,
                seeds=[_window_seed(request.seed, window.start) for request in requests],
                sampling=self.sampling,
                prompt=prompt,
                progress=report,
            )
            codes = new if codes is None else torch.cat([codes, new[..., window.known - window.start :]], dim=-1)
        assert codes is not None, "a plan has at least one window"
        job.progress(share[0] + share[1] * 0.95, "Decoding")
        soundtracks = []
        for index, request in enumerate(requests):  # row by row: four at once would need four times the memory
            job.check()
            samples = decode(self.codec, codes[index : index + 1], self.decoder.channels)[0].cpu().numpy()
            waveform = fit_duration(
                np.asarray(samples, np.float32), self.sample_rate, duration_s, fade_out_s=min(_FADE_S, duration_s / 4)
            )
            soundtracks.append(
                Soundtrack(
                    waveform=waveform,
                    sample_rate=self.sample_rate,
                    caption=request.caption,
                    backend="musicgen",
                    seed=request.seed,
                    seconds=(time.perf_counter() - started) / len(requests),
                    provenance=self._provenance(request, plan, cut_words),
                )
            )
        return soundtracks

    def _encoded(self, texts: list[str]) -> tuple[Tensor, Tensor, bool]:
        """States of the text encoder `(rows, words, width)`, their mask, and whether a text was cut."""
        full = self.loaded.tokenizer(texts)["input_ids"]
        inputs = self.loaded.tokenizer(
            texts, padding=True, truncation=True, max_length=_WORDS_MAX, return_tensors="pt"
        ).to(self.model.device)
        with torch.inference_mode():
            states = self.model.text_encoder(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]
            ).last_hidden_state
            if hasattr(self.model, "enc_to_dec_proj"):
                states = self.model.enc_to_dec_proj(states)
        return states, inputs["attention_mask"], any(len(ids) > _WORDS_MAX for ids in full)

    def _provenance(self, request: ScoreRequest, plan: list[Window], cut_words: bool) -> dict[str, Any]:
        return {
            "model": self.loaded.name,
            "license": "CC-BY-NC-4.0",
            "computed_on": self.loaded.reason,
            "temperature": self.sampling.temperature,
            "top_k": self.sampling.top_k,
            "guidance": self.sampling.guidance,
            "seams_s": [round(window.known / self.frame_rate, 2) for window in plan[1:]],
            "sections": [[start_s, text] for start_s, text in _sections(request)],
            "text_cut": cut_words,
        }


def _sections(request: ScoreRequest) -> list[tuple[float, str]]:
    """Texts that take over from the caption's, as `overrides={"sections": [[start_s, text], ...]}`."""
    given = request.overrides.get("sections", ())
    try:
        return [(float(start_s), str(text)) for start_s, text in given]
    except (TypeError, ValueError) as error:
        raise RequestError("Sections are pairs of a start in seconds and a text.") from error


def _window_seed(seed: int, start: int) -> int:
    """Another stream of randomness for each window, or a window would repeat the choices of the one before."""
    return seed if start == 0 else (seed * 1_000_003 + start) % 2**62
