"""A small vision-language model as video captioner: SmolVLM2 (Marafioti et al., "SmolVLM", 2025), Apache-2.0.

Chosen as what stands in for SwinBERT while its weights cannot be had: open, made for video, and small enough for a
laptop (the 500M model needs about 2 GB, the 2.2B model about 5 GB). Options: `weights`, a folder; `model`, one of
those below; `frames`; `device`; `precision`; `window_s`; `max_windows`; `question`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from musiscene.captions._hub import (
    WindowCaptioner,
    find_weights,
    load_model,
    load_part,
    missing_weights,
    plain_sentence,
)
from musiscene.captions._moments import Cutting, Sentence
from musiscene.errors import ConfigError
from musiscene.registry import BackendSpec
from musiscene.types import CaptionKind

if TYPE_CHECKING:
    from musiscene.media import Frames

MODELS = ("smolvlm2-2.2b", "smolvlm2-500m")
"""Names in the manifest of weights, the better first; the last is the one that is proposed."""

QUESTION = (
    "Describe this video in one short, plain sentence: who or what is seen, what they are doing, and where. "
    "Write only that sentence."
)
"""Asks for what VATEX captions are: one sentence of everyday English about people, action and place."""

_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
_WORDS = 60


class SmolVlmWriter:
    """Asks SmolVLM2 about a handful of frames, in the words that it was trained on."""

    def __init__(self, model: Any, tokenizer: Any, image_processor: Any, *, frames: int, question: str) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.frames = frames
        self.question = question
        self.max_side = int(model.config.vision_config.image_size)

    def prompt(self, times_s: list[float]) -> str:
        """The chat that stands for frames shown in the middles of equal parts, at `times_s`, and the question."""
        picture = "<fake_token_around_image><global-img>" + "<image>" * self.model.model.image_seq_len
        picture += "<fake_token_around_image>"
        seconds = int(times_s[0] + times_s[-1])  # half a part is missing on either side
        length = f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        shown = "".join(f"\nFrame from {int(t // 60):02d}:{int(t % 60):02d}:{picture}" for t in times_s)
        return (
            f"<|im_start|>User: You are provided the following series of {_number(len(times_s))} frames from a "
            f"{length} [H:MM:SS] video.\n{shown}\n\n{self.question}<end_of_utterance>\nAssistant:"
        )

    def write(self, frames: Frames, watch: Callable[[float], None]) -> Sentence:
        """What the frames show; see `Writer`."""
        import torch

        from musiscene.networks.watching import WordWatch, watching

        network = self.model.model
        layers = [*network.vision_model.encoder.layers, *network.text_model.layers]
        share = 0.0

        def go_to(fraction: float) -> None:
            nonlocal share
            share = fraction
            watch(fraction)

        whole = {"do_image_splitting": False, "size": {"longest_edge": self.max_side}}  # as for the frames of a video
        pixels = self.image_processor(list(frames.images), return_tensors="pt", **whole).pixel_values
        ids = self.tokenizer(self.prompt(frames.times_s.tolist()), return_tensors="pt", add_special_tokens=False)
        ids = ids.input_ids.to(self.model.device)
        with torch.inference_mode(), watching(layers, lambda: watch(share)):
            seen = []
            for number in range(pixels.shape[1]):  # one at a time: a stop is noticed within one layer of one frame
                picture = pixels[:, number : number + 1].to(self.model.device, self.model.dtype)
                seen.append(network.get_image_features(picture).pooler_output[0])
                go_to(0.7 * (number + 1) / pixels.shape[1])
            words = network.get_input_embeddings()(ids)
            place = (ids == self.model.config.image_token_id)[..., None]
            words = words.masked_scatter(place, torch.cat(seen).to(words.dtype))
            answer = self.model.generate(
                inputs_embeds=words,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=_WORDS,
                eos_token_id=self._ends(),
                pad_token_id=self.tokenizer.pad_token_id or 0,
                stopping_criteria=[WordWatch(lambda part: go_to(0.7 + 0.3 * part), _WORDS)],
            )
        return Sentence(plain_sentence(self.tokenizer.decode(answer[0], skip_special_tokens=True)))

    def _ends(self) -> list[int]:
        own = self.model.generation_config.eos_token_id
        ends = set(own if isinstance(own, list) else [] if own is None else [own])
        return sorted(ends | {self.tokenizer.convert_tokens_to_ids("<end_of_utterance>")})


def _number(count: int) -> str:
    words = _NUMBERS.split()
    return words[count] if count < len(words) else str(count)


def _load(options: Mapping[str, Any]) -> WindowCaptioner:
    from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

    from musiscene.networks.placement import place

    try:
        frames = int(options.get("frames", 8))
    except (TypeError, ValueError):
        frames = 0
    if not 1 <= frames <= 64:
        raise ConfigError(f"smolvlm can look at 1 to 64 frames, not {options.get('frames')!r}.")
    path, name = find_weights(SPEC.name, MODELS, options)
    where = place(str(options.get("device", "auto")), str(options.get("precision", "auto")))
    writer = SmolVlmWriter(
        load_model(path, AutoModelForImageTextToText, where),
        load_part(path, AutoTokenizer),
        load_part(path, AutoImageProcessor),
        frames=frames,
        question=str(options.get("question") or QUESTION),
    )
    facts = {"model": name, "precision": where.precision, "device": where.device, "question": writer.question}
    return WindowCaptioner(SPEC.name, writer, Cutting.from_options(options), facts)


SPEC = BackendSpec(
    name="smolvlm",
    load=_load,
    summary="SmolVLM2, a small vision-language model, asked for one plain sentence about the video.",
    produces=frozenset({CaptionKind.VIDEO}),
    needs_picture=True,
    extra="models",
    packages=("torch", "transformers"),
    repo_id="HuggingFaceTB/SmolVLM2-500M-Video-Instruct",
    license="Apache-2.0",
    vram_gb=2.0,
    missing_weights=missing_weights("smolvlm", MODELS),
)
