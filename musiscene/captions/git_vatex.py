"""GIT trained on VATEX as video captioner (Wang et al., "GIT: A Generative Image-to-text Transformer", 2022), MIT.

Six frames, one sentence in the manner of VATEX, small and quick (0.7 GB). Options: `weights`, a folder; `device`;
`precision`; `beams`; `window_s`; `max_windows`.
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

MODELS = ("git-base-vatex",)
_WORDS = 40
_USEFUL_SIDE = 512
"""Twice and more of the 224 pixels that it sees, so that the processor's own scaling decides the result."""


class GitWriter:
    """Lets GIT continue an empty sentence behind its frames."""

    max_side = _USEFUL_SIDE

    def __init__(self, model: Any, tokenizer: Any, image_processor: Any, *, beams: int) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.beams = beams
        self.frames = int(model.config.num_image_with_embedding or 1)

    def write(self, frames: Frames, watch: Callable[[float], None]) -> Sentence:
        """What the frames show; see `Writer`."""
        import torch

        from musiscene.networks.watching import WordWatch, watching

        pixels = self.image_processor(list(frames.images), return_tensors="pt").pixel_values
        if pixels.ndim == 4:  # an image processor returns pictures, a video one returns a clip
            pixels = pixels[None]
        if self.model.config.num_image_with_embedding is None:
            pixels = pixels[:, 0]
        network = self.model.git
        layers = [*network.image_encoder.vision_model.encoder.layers, *network.encoder.layer]
        share, step = 0.0, 0.7 / (self.frames * len(network.image_encoder.vision_model.encoder.layers))

        def after_layer() -> None:
            nonlocal share
            share = min(0.7, share + step)
            watch(share)

        def after_word(part: float) -> None:
            nonlocal share
            share = max(share, 0.7 + 0.3 * part)
            watch(share)

        with torch.inference_mode(), watching(layers, lambda: after_layer() if share < 0.7 else watch(share)):
            ids = self.model.generate(
                pixel_values=pixels.to(self.model.device, self.model.dtype),
                do_sample=False,
                num_beams=self.beams,
                max_new_tokens=_WORDS,
                stopping_criteria=[WordWatch(after_word, _WORDS)],
            )
        return Sentence(plain_sentence(self.tokenizer.decode(ids[0], skip_special_tokens=True)))


def _load(options: Mapping[str, Any]) -> WindowCaptioner:
    from transformers import AutoImageProcessor, AutoTokenizer, GitForCausalLM

    from musiscene.networks.placement import place

    try:
        beams = int(options.get("beams", 1))
    except (TypeError, ValueError):
        beams = 0
    if not 1 <= beams <= 16:
        raise ConfigError(f"git-vatex can search with 1 to 16 beams, not {options.get('beams')!r}.")
    path, name = find_weights(SPEC.name, MODELS, options)
    where = place(str(options.get("device", "auto")), str(options.get("precision", "auto")))
    writer = GitWriter(
        load_model(path, GitForCausalLM, where),
        load_part(path, AutoTokenizer),
        load_part(path, AutoImageProcessor),
        beams=beams,
    )
    facts = {"model": name, "precision": where.precision, "device": where.device, "beams": beams}
    return WindowCaptioner(SPEC.name, writer, Cutting.from_options(options), facts)


SPEC = BackendSpec(
    name="git-vatex",
    load=_load,
    summary="GIT trained on VATEX: one sentence from six frames.",
    produces=frozenset({CaptionKind.VIDEO}),
    needs_picture=True,
    extra="models",
    packages=("torch", "transformers"),
    repo_id="microsoft/git-base-vatex",
    license="MIT",
    vram_gb=1.0,
    missing_weights=missing_weights("git-vatex", MODELS),
)
