"""An instruct model on this machine, through transformers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TextStreamer,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from musiscene.captions._language.background import follow
from musiscene.captions._language.model import Delta, Facts, LanguageModelError, Question, Sampling
from musiscene.captions._language.source import KNOWN_MODELS, Connection
from musiscene.errors import BackendUnavailableError
from musiscene.following import POLL_S, Put
from musiscene.types import Job

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_log = logging.getLogger(__name__)


class LocalModel:
    """Weights in memory. One question at a time; others wait their turn."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, facts: Facts, wrapping: str = ""
    ) -> None:
        """Take a model that is ready.

        Args:
            model: For causal language modelling, in evaluation mode.
            tokenizer: Its own.
            facts: What is known of it.
            wrapping: The text of a turn with a blank `{text}`, in place of the tokenizer's chat template.
        """
        if not wrapping and not tokenizer.chat_template:
            raise BackendUnavailableError(
                f"{facts.model} is not an instruct model: it has no chat template. Choose one for chat in "
                "MUSISCENE_LLM_MODEL."
            )
        self._model, self._tokenizer, self._wrapping = model, tokenizer, wrapping
        self._facts = facts
        self._busy = threading.Lock()
        self._stops = _ids(model.generation_config.eos_token_id) | _ids(tokenizer.eos_token_id)
        # The published generation settings (temperature, top-k …) must not mix with ours.
        model.generation_config = _generation(
            eos_token_id=sorted(self._stops) or None,
            pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(self._stops, default=0),
            bos_token_id=tokenizer.bos_token_id,
        )

    @classmethod
    def load(cls, connection: Connection) -> LocalModel:
        """Load the weights that are on this machine; nothing is downloaded.

        Raises:
            BackendUnavailableError: They cannot be loaded; the message says why.
        """
        folder = connection.weights()
        assert folder is not None, "Connection.why_unavailable() was asked first"
        known = KNOWN_MODELS.get(connection.repo_id)
        name = folder.name if connection.repo_id == connection.model and not known else connection.repo_id
        facts = Facts("local", name, connection.revision or "", known.license if known else "")
        size = sum(part.stat().st_size for part in folder.glob("*.safetensors"))
        placement, why = _place(size)
        _log.info("language model %s: %s", name, why)
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype="auto", **placement)
        except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
            _log.debug("loading %s failed", folder, exc_info=error)
            raise BackendUnavailableError(
                f"The weights of {name} cannot be loaded ({type(error).__name__}): they are damaged, incomplete "
                "or of an "
                "unknown kind. Download them again, or choose another MUSISCENE_LLM_MODEL."
            ) from None
        model.train(False)
        return cls(model, tokenizer, facts, known.wrapping if known else "")

    @property
    def facts(self) -> Facts:
        """What is known of the model."""
        return self._facts

    def stream(self, question: Question, job: Job) -> Iterator[Delta]:
        """Yield the answer as it is made.

        The same question and seed give the same answer on the same machine, whatever other threads draw.

        Raises:
            LanguageModelError: The question is too long, or memory ran out.
            Stopped: `job` was stopped.
        """
        return follow(partial(self._answer, question), job)

    def _answer(self, question: Question, put: Put[Delta], left: threading.Event) -> None:
        while not self._busy.acquire(timeout=POLL_S):
            if left.is_set():
                return
        try:
            self._generate(question, put, left)
        except torch.OutOfMemoryError:
            raise LanguageModelError(
                f"There is not enough memory for {self._facts.model}. Close other programs, or choose a smaller "
                "MUSISCENE_LLM_MODEL."
            ) from None
        finally:
            self._busy.release()

    def _generate(self, question: Question, put: Put[Delta], left: threading.Event) -> None:
        inputs = self._encode(question.text)
        asked = inputs["input_ids"].shape[1]
        room = getattr(self._model.config, "max_position_embeddings", None)
        if room is not None and asked >= room:
            raise LanguageModelError(
                f"The captions and the prompt are too long for {self._facts.model} ({asked} tokens of {room}). "
                "Shorten them."
            )
        longest = min(question.sampling.max_tokens, room - asked if room else question.sampling.max_tokens)
        with torch.inference_mode():
            generate: Any = self._model.generate  # declared as a tensor by torch's attribute rules
            output = generate(
                **inputs,
                generation_config=_generation(do_sample=False, max_new_tokens=longest),
                logits_processor=LogitsProcessorList([_Draw(question.sampling, question.seed)]),
                stopping_criteria=StoppingCriteriaList([_Left(left)]),
                streamer=_Pieces(self._tokenizer, put),
            )
        put(Delta(finish="stop" if int(output[0, -1]) in self._stops else "length"))

    def _encode(self, text: str) -> Any:
        if self._wrapping:
            encoded = self._tokenizer(self._wrapping.replace("{text}", text), return_tensors="pt")
        else:
            encoded = self._tokenizer.apply_chat_template(
                [{"role": "user", "content": text}],
                add_generation_prompt=True,
                return_dict=True,
                return_tensors="pt",
                enable_thinking=False,  # for templates that know it: a caption needs no thoughts
            )
        tensors = {name: encoded[name] for name in ("input_ids", "attention_mask") if name in encoded}
        return {name: tensor.to(self._model.device) for name, tensor in tensors.items()}


class _Draw(LogitsProcessor):  # type: ignore[misc]  # mypy does not read transformers
    """Samples inside a greedy search, with a random generator of this question's own.

    The likeliest word of `logits + Gumbel noise` is a draw from the softmax of the logits (Gumbel 1954; Maddison et
    al. 2014), so that `generate` needs no global random state, which threads would share.
    """

    def __init__(self, sampling: Sampling, seed: int) -> None:
        self._greedy = sampling.temperature == 0
        self._warpers = LogitsProcessorList()
        if not self._greedy:
            self._warpers.append(TemperatureLogitsWarper(float(sampling.temperature)))
            if sampling.top_k:
                self._warpers.append(TopKLogitsWarper(sampling.top_k))
            if sampling.top_p < 1:
                self._warpers.append(TopPLogitsWarper(sampling.top_p))
        self._random = torch.Generator().manual_seed(seed)

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Scores whose maximum is the draw."""
        if self._greedy:
            return scores
        warped: Any = self._warpers(input_ids, scores.float())
        uniform = torch.rand(warped.shape, generator=self._random).clamp_(1e-20, 1 - 1e-7)
        return warped - torch.log(-torch.log(uniform)).to(warped.device)  # type: ignore[no-any-return]


class _Left(StoppingCriteria):  # type: ignore[misc]  # mypy does not read transformers
    """Ends the generation at the next token once nobody listens."""

    def __init__(self, left: threading.Event) -> None:
        self._left = left

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **_: Any) -> Any:
        """One truth value per sequence."""
        return torch.full((input_ids.shape[0],), self._left.is_set(), dtype=torch.bool, device=input_ids.device)


class _Pieces(TextStreamer):  # type: ignore[misc]  # mypy does not read transformers
    """Hands on whole words as they are decoded."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, put: Put[Delta]) -> None:
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self._put = put

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Called by `generate` with each piece of text."""
        self._put(Delta(text))


def _place(size: int) -> tuple[dict[str, Any], str]:
    """Where weights of `size` bytes go, and why."""
    if torch.cuda.is_available():
        free, _ = torch.cuda.mem_get_info()
        if free > 1.15 * size:  # room for the cache of keys and values
            return {"device_map": {"": "cuda"}}, f"on the GPU, {free / 1e9:.0f} GB free"
        return {"device_map": "auto"}, f"on GPU and processor together, {free / 1e9:.0f} GB free on the GPU"
    if torch.backends.mps.is_available():
        return {"device_map": {"": "mps"}}, "on the Apple GPU"
    return {}, "on the processor, there is no GPU"


def _generation(**settings: Any) -> GenerationConfig:
    return GenerationConfig(**settings)


def _ids(value: int | list[int] | None) -> set[int]:
    if value is None:
        return set()
    return set(value) if isinstance(value, list) else {value}
