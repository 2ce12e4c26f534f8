"""MusicGen by its authors' own package (audiocraft), in an environment and a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musiscene.registry import BackendSpec

if TYPE_CHECKING:
    from musiscene.registry import MusicGenerator

DEFAULT_MODEL = "audiocraft-musicgen-melody"
"""Name in the manifest of weights; the options may name another, a folder, or "debug" (the package's own toy)."""

_FILES = ("state_dict.bin", "compression_state_dict.bin")


def _environment(options: Mapping[str, Any]) -> Path:
    from musiscene.soundtracks._audiocraft.install import default_folder

    given = options.get("environment")
    return Path(given).expanduser() if given else default_folder()


def _model(options: Mapping[str, Any]) -> tuple[str, str | None]:
    """What it is called, and what the package is given: a folder, or "debug"; None when the weights are not here."""
    from musiscene.published import MANIFEST
    from musiscene.weights import find

    name = str(options.get("model") or DEFAULT_MODEL)
    if name == "debug":
        return name, name
    folder = find(name, options.get("weights_dir")) if name in MANIFEST else Path(name).expanduser()
    here = folder is not None and all((folder / file).is_file() for file in _FILES)
    return name, str(folder) if here else None


def missing_weights(options: Mapping[str, Any]) -> str | None:
    """What is lacking, environment or weights, and the next step."""
    from musiscene.soundtracks._audiocraft.install import complete

    folder = _environment(options)
    if not complete(folder):
        return (
            "audiocraft's pins cannot be installed beside ours, so it has an environment of its own, which is not at "
            f"{folder}. Run `make audiocraft`, or `python -m musiscene.soundtracks._audiocraft.install`."
        )
    name, model = _model(options)
    if model is not None:
        return None
    from musiscene.published import MANIFEST, next_step

    if name not in MANIFEST:
        return f"There are no {' and '.join(_FILES)} in {name}. Correct MUSISCENE_AUDIOCRAFT."
    return f"audiocraft's weights are not here. {next_step(name)}"


def load(options: Mapping[str, Any]) -> MusicGenerator:
    """Get ready; the process starts, and the weights are loaded, with the first music."""
    from musiscene.soundtracks._audiocraft.generator import AudiocraftGenerator
    from musiscene.soundtracks._audiocraft.install import interpreter
    from musiscene.weight_notes import noted_commit
    from musiscene.weights import find

    name, model = _model(options)
    encoder = options.get("text_encoder") or find("t5-base", options.get("weights_dir"))
    commit = noted_commit(Path(model or name))
    return AudiocraftGenerator(interpreter(_environment(options)), model or name, encoder, name, revision=commit)


SPEC = BackendSpec(
    name="audiocraft",
    load=load,
    summary="MusicGen by its authors' package, in an environment of its own; follows melodies.",
    extra="audiocraft",
    packages=("torch", "transformers"),
    repo_id="facebook/musicgen-melody",
    license="CC-BY-NC-4.0",
    follows_melody=True,
    vram_gb=8.0,
    missing_weights=missing_weights,
)
