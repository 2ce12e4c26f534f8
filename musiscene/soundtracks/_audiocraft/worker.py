"""The process in audiocraft's own environment: takes orders on standard input, answers on standard output.

It is run as a script and imports nothing of musiscene. Orders and answers are JSON, one a line; sound travels as NumPy
files in a folder that the order names.

```text
{"do": "load", "model": …, "text_encoder": …}    -> {"ready": {"sample_rate": …, "channels": …, "melody": …, …}}
{"do": "make", "folder": …, "requests": [{"text", "seed", "melody"}…], "duration_s": …, "sampling": {…}}
                                                 -> {"progress": [group, groups, done, total]}…
                                                    {"heard": [[row, "0-0.npy"], …], "from": sample}…
                                                    {"made": ["0.npy", …]}
{"do": "stop"}                                   -> {"error": "stopped"}, while something is made
                                                 or {"error": KIND, "message": …}, KIND being memory, weights or defect
```
"""

from __future__ import annotations

import importlib.machinery
import json
import os
import queue
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PLACES = 64
"""Texts are padded to a multiple of this. The package's layers look at the padding, so it must not depend on the batch;
in training, too, texts were padded to the longest of many."""


_TOLD_S = 60.0
"""Sound that is told before the whole is ready; each piece costs decoding all codes so far, so not all is told."""

_CONTEXT_FRAMES = 16
"""The decoder looks a few frames ahead, so the last ones of a piece wait for those that follow. (Tested.)"""


class _StoppedError(Exception):
    """The other side wants no more of it."""


def prepare() -> None:
    """Let audiocraft be imported beside a PyTorch that it does not know.

    torchaudio's compiled part wants CUDA's libraries, but what audiocraft uses of it is plain Python. spaCy is imported
    for word statistics that no published MusicGen uses.
    """

    def identity(function: Any) -> Any:
        return function

    _stub(
        "torchaudio._extension",
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        fail_if_no_align=identity,
        lazy_import_sox_ext=lambda: None,
        _check_cuda_version=lambda: None,
        _load_lib=lambda *_: False,
    )
    _stub("spacy", load=lambda *_, **__: _words)


def _stub(name: str, **contents: Any) -> None:
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    module.__dict__.update(contents)
    sys.modules[name] = module


def _words(text: str) -> list[Any]:
    """A text cut at white space, as much of spaCy as a whitespace tokenizer needs."""
    return [
        types.SimpleNamespace(text=word, lemma_=word.lower(), is_stop=False, is_punct=not any(map(str.isalnum, word)))
        for word in text.split()
    ]


class Worker:
    """One loaded model."""

    def __init__(self, say: Callable[[dict[str, Any]], None]) -> None:
        self.say = say
        self.stop = threading.Event()
        self.model: Any = None
        self.before, self.share = 0, 1
        """Of the groups that an order is made in: how many are done, and how many there are."""

    def load(self, order: dict[str, Any]) -> None:
        """Load a model; answers what it is."""
        import torch
        from audiocraft.models import MusicGen  # type: ignore[import-not-found]
        from audiocraft.modules import conditioners  # type: ignore[import-not-found]

        folder = order.get("text_encoder")
        if folder:
            import transformers

            conditioners.T5Tokenizer = _Local(transformers.AutoTokenizer, folder)
            conditioners.T5EncoderModel = _Local(transformers.T5EncoderModel, folder)
        self.model = MusicGen.get_pretrained(order["model"])
        self.model.set_custom_progress_callback(self._progress)
        conditions = self.model.lm.condition_provider.conditioners
        for condition in conditions.values():
            if hasattr(condition, "t5_tokenizer"):
                condition.t5_tokenizer = _Padded(condition.t5_tokenizer)
        self.say(
            {
                "ready": {
                    "sample_rate": self.model.sample_rate,
                    "channels": self.model.audio_channels,
                    "melody": "self_wav" in conditions,
                    "longest_s": self.model.max_duration,
                    "device": str(self.model.device),
                    "torch": torch.__version__,
                }
            }
        )

    def make(self, order: dict[str, Any]) -> None:
        """Make music for each request; those whose texts take as much room are one batch."""
        import numpy as np

        groups: dict[int, list[int]] = {}
        for row, request in enumerate(order["requests"]):
            groups.setdefault(self._places(request["text"]), []).append(row)
        self.before, self.share = 0, len(groups)
        names = [f"{row}.npy" for row in range(len(order["requests"]))]
        for rows in groups.values():
            sound = self._batch(rows, order)
            for row, waveform in zip(rows, sound, strict=True):
                np.save(Path(order["folder"]) / names[row], waveform)
            self.before += 1
        self.say({"made": names})

    def _places(self, text: str) -> int:
        for condition in self.model.lm.condition_provider.conditioners.values():
            if hasattr(condition, "t5_tokenizer"):
                return int(condition.t5_tokenizer([text], return_tensors="pt", padding=True)["input_ids"].shape[1])
        return len(text.split())

    def _batch(self, rows: list[int], order: dict[str, Any]) -> Any:
        """Sound `(rows, channels, samples)` of one batch."""
        import numpy as np
        import torch
        from audiocraft.utils import utils  # type: ignore[import-not-found]

        requests = [order["requests"][row] for row in rows]
        generators = [
            torch.Generator(self.model.device).manual_seed(int(request["seed"]) % 2**62) for request in requests
        ]

        def drawn(probabilities: Any, num_samples: int, replacement: bool = False, *, generator: Any = None) -> Any:
            """Each row by its own generator, so that its music does not depend on the others."""
            rows = [
                torch.multinomial(row.reshape(-1, row.shape[-1]), num_samples, replacement, generator=own)
                for row, own in zip(probabilities, generators, strict=True)
            ]
            return torch.stack(rows).reshape(*probabilities.shape[:-1], num_samples)

        plain, utils.multinomial = utils.multinomial, drawn
        lm = self.model.lm
        if order["duration_s"] > self.model.max_duration:
            lm.generate = self._telling(lm.generate, rows, order)
        try:
            sampling = {**order["sampling"], "top_k": min(order["sampling"]["top_k"], self.model.lm.card)}
            self.model.set_generation_params(duration=order["duration_s"], **sampling)
            texts = [request["text"] for request in requests]
            melodies = [
                None if request.get("melody") is None else torch.from_numpy(np.load(request["melody"]))
                for request in requests
            ]
            with torch.inference_mode():
                if any(melody is not None for melody in melodies):
                    sound = self.model.generate_with_chroma(texts, melodies, order["melody_rate"], progress=True)
                else:
                    sound = self.model.generate(texts, progress=True)
        finally:
            utils.multinomial = plain
            lm.__dict__.pop("generate", None)
        return sound.float().cpu().numpy()

    def _telling(self, generate: Callable[..., Any], rows: list[int], order: dict[str, Any]) -> Callable[..., Any]:
        """The package's `generate`, which writes one window, telling the sound of each but the last."""
        import numpy as np
        import torch

        written: list[Any] = []
        told = 0

        def window(prompt: Any, *arguments: Any, **options: Any) -> Any:
            nonlocal told
            codes = generate(prompt, *arguments, **options)
            written.append(codes if prompt is None else codes[..., prompt.shape[-1] :])
            frames = sum(part.shape[-1] for part in written)
            rate = self.model.sample_rate
            if told >= _TOLD_S * rate or frames >= int(order["duration_s"] * self.model.frame_rate):
                return codes
            with torch.autocast(self.model.device.type, enabled=False):  # as the whole will be decoded
                sound = self.model.generate_audio(torch.cat(written, dim=-1))
            end = (frames - _CONTEXT_FRAMES) * (sound.shape[-1] // frames)
            names = [f"{row}-{told}.npy" for row in rows]
            for name, piece in zip(names, sound[..., told:end].float().cpu().numpy(), strict=True):
                np.save(Path(order["folder"]) / name, piece)
            self.say({"heard": list(zip(rows, names, strict=True)), "from": told})
            told = end
            return codes

        return window

    def _progress(self, done: int, total: int) -> None:
        if self.stop.is_set():
            raise _StoppedError
        self.say({"progress": [self.before, self.share, done, total]})


class _Padded:
    """A tokenizer that pads to a multiple of `_PLACES`."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __call__(self, texts: list[str], **options: Any) -> Any:
        """As the tokenizer that it stands for."""
        return self._tokenizer(texts, **{**options, "padding": True, "pad_to_multiple_of": _PLACES})


class _Local:
    """Takes what would be fetched by name from a folder."""

    def __init__(self, kind: Any, folder: str) -> None:
        self._kind, self._folder = kind, folder

    def from_pretrained(self, _name: str, **options: Any) -> Any:
        """As the class that it stands for, but from the folder."""
        return self._kind.from_pretrained(self._folder, **options)


def _explained(error: BaseException) -> dict[str, Any]:
    text = " ".join(str(error).split())[:300]
    if isinstance(error, _StoppedError):
        return {"error": "stopped"}
    if isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text:
        return {"error": "memory", "message": text}
    return {"error": "defect", "message": f"{type(error).__name__}: {text}"}


def serve() -> None:
    """Answer orders until standard input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1, encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what packages print must not be taken for an answer

    def say(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    worker = Worker(say)
    orders: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            order = json.loads(line)
            if order["do"] == "stop":
                worker.stop.set()
            else:
                worker.stop.clear()
                orders.put(order)
        worker.stop.set()
        orders.put(None)

    threading.Thread(target=read, daemon=True).start()
    prepare()
    while (order := orders.get()) is not None:
        try:
            {"load": worker.load, "make": worker.make}[order["do"]](order)
        except Exception as error:  # noqa: BLE001 - the other side is to know, and this one goes on
            answer = _explained(error)
            if answer["error"] == "defect":
                import traceback

                traceback.print_exc()
                if order["do"] == "load":
                    answer["error"] = "weights"
            say(answer)


if __name__ == "__main__":
    serve()
