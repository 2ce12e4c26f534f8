"""MU-LLaMA and MusiScene: music captions and imagined scenes from published weights.

Liu et al., "Music Understanding LLaMA" (2023); "MusiScene" (2025). See docs/mu-llama.md for memory, precision, and what
is faithful to the originals and what is fixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from musiscene.errors import BackendUnavailableError
from musiscene.registry import BackendSpec
from musiscene.types import CaptionKind

if TYPE_CHECKING:
    from musiscene.captions._mu_llama.captioner import MuLlamaCaptioner


def _load(given: Mapping[str, Any]) -> MuLlamaCaptioner:
    from musiscene.captions._mu_llama.options import Options, locate

    options = Options.read(given)
    setup = locate(options)  # before torch is imported: its reasons should come at once
    from musiscene.captions._mu_llama.captioner import MuLlamaCaptioner
    from musiscene.captions._mu_llama.loading import load

    return MuLlamaCaptioner(SPEC, load(options, setup), options)


def _missing_weights(given: Mapping[str, Any]) -> str | None:
    from musiscene.captions._mu_llama.options import Options, locate

    try:
        locate(Options.read(given))
    except BackendUnavailableError as error:
        return str(error)
    return None


SPEC = BackendSpec(
    name="mu-llama",
    load=_load,
    summary="Listens with MERT and answers with a LLaMA: music captions by MU-LLaMA, scenes by a MusiScene adapter.",
    produces=frozenset({CaptionKind.MUSIC, CaptionKind.MSI}),
    needs_sound=True,
    extra="models",
    packages=("torch", "transformers", "safetensors", "tokenizers"),
    repo_id="mu-llama/MU-LLaMA",
    license="GPL-3.0 (MU-LLaMA), Llama 2 Community License, CC-BY-NC-4.0 (MERT)",
    vram_gb=20.0,
    answers=True,
    missing_weights=_missing_weights,
)
