"""MusicGen: soundtracks from words by a language model over audio codes (Copet et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from musiscene.registry import BackendSpec

if TYPE_CHECKING:
    from musiscene.registry import MusicGenerator


def missing_weights(options: Mapping[str, Any]) -> str | None:
    """What is lacking, and the next step."""
    from musiscene.soundtracks._musicgen.loading import default_model, locate, manifest_name

    name, weights_dir = str(options.get("model") or ""), options.get("weights_dir")
    if locate(name or default_model(weights_dir)[0], weights_dir) is not None:
        return None
    from musiscene.published import MANIFEST, next_step

    known = manifest_name(name) or "musicgen-small"
    if known not in MANIFEST:
        return (
            f"There is no folder {name} with MusicGen's weights, and no repository of that name has been fetched. "
            "Correct MUSISCENE_MUSICGEN."
        )
    return f"MusicGen's weights are not here. {next_step(known)}"


def load(options: Mapping[str, Any]) -> MusicGenerator:
    """Load the weights; torch and transformers are imported here."""
    from musiscene.soundtracks._musicgen.generator import MusicgenGenerator
    from musiscene.soundtracks._musicgen.loading import load_model

    name, precision = str(options.get("model") or ""), str(options.get("precision") or "auto")
    return MusicgenGenerator(load_model(name, options.get("weights_dir"), precision))


SPEC = BackendSpec(
    name="musicgen",
    load=load,
    summary="MusicGen writes audio from the words of the caption, up to ten minutes in windows of 30 seconds.",
    extra="models",
    packages=("torch", "transformers"),
    repo_id="facebook/musicgen-small",
    license="CC-BY-NC-4.0",
    follows_melody=True,
    vram_gb=4.0,
    missing_weights=missing_weights,
)
