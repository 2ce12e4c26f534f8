"""MusicGen: soundtracks from words by a language model over audio codes (Copet et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from musiscene.registry import BackendSpec

if TYPE_CHECKING:
    from musiscene.registry import MusicGenerator

DEFAULT_MODEL = "musicgen-small"
"""Name in the manifest of weights; the options may name another, or a folder."""


def missing_weights(options: Mapping[str, Any]) -> str | None:
    """What is lacking, and the next step."""
    from musiscene.soundtracks._musicgen.loading import locate

    name = str(options.get("model") or DEFAULT_MODEL)
    if locate(name, options.get("weights_dir")) is not None:
        return None
    from musiscene.published import MANIFEST, next_step

    if name not in MANIFEST:
        return f"There is no folder {name} with MusicGen's weights. Correct MUSISCENE_MUSICGEN."
    return f"MusicGen's weights are not here. {next_step(name)}"


def load(options: Mapping[str, Any]) -> MusicGenerator:
    """Load the weights; torch and transformers are imported here."""
    from musiscene.soundtracks._musicgen.generator import MusicgenGenerator
    from musiscene.soundtracks._musicgen.loading import load_model

    return MusicgenGenerator(load_model(str(options.get("model") or DEFAULT_MODEL), options.get("weights_dir")))


SPEC = BackendSpec(
    name="musicgen",
    load=load,
    summary="MusicGen writes audio from the words of the caption, up to ten minutes in windows of 30 seconds.",
    extra="models",
    packages=("torch", "transformers"),
    repo_id="facebook/musicgen-small",
    license="CC-BY-NC-4.0",
    vram_gb=4.0,
    missing_weights=missing_weights,
)
