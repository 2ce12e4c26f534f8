"""From the settings to what each backend is loaded with."""

from __future__ import annotations

from typing import Any

from musiscene.captions._language.source import Connection, ModelSource
from musiscene.registry import ELSEWHERE, discover
from musiscene.remote.backends import OtherMachine
from musiscene.remote.catalogue import Server
from musiscene.settings import Settings


def backend_options(settings: Settings) -> dict[str, dict[str, Any]]:
    """What each backend's `load` is given, by its name.

    Raises:
        ConfigError: The settings of the language model, or of the other machine, cannot be used.
    """
    language = ModelSource(  # one for all that use it: its weights are in memory once
        Connection(
            provider=settings.llm_provider,
            model=settings.llm_model,
            url=settings.llm_url,
            api_key=settings.llm_api_key,
            timeout_s=settings.llm_timeout_s,
            weights_dir=settings.data_dir / "weights",
        )
    )
    options: dict[str, dict[str, Any]] = {
        "sketch": {"soundfont": settings.soundfont} if settings.soundfont else {},
        "musicgen": {
            "model": settings.musicgen,
            "precision": settings.musicgen_precision,
            "weights_dir": settings.data_dir / "weights",
        },
        "audiocraft": {
            "model": settings.audiocraft,
            "environment": settings.audiocraft_environment,
            "weights_dir": settings.data_dir / "weights",
        },
        "mu-llama": {
            "precision": settings.mu_llama_precision,
            "weights_dir": settings.data_dir / "weights",
        },
        "llm": {"source": language},
        "llm-picture": {"source": language},
    }
    if settings.backend_url:
        other = OtherMachine(Server(settings.backend_url, settings.backend_key, settings.backend_timeout_s))
        for spec in (*discover("captions"), *discover("soundtracks")):
            options.setdefault(spec.name, {})[ELSEWHERE] = other
    return options
