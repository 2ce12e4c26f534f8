"""SwinBERT weights on disk: the authors' layout, and a safetensors file made from it once.

The authors' folder holds `best-checkpoint/model.bin` (a pickled dictionary of tensors), `tokenizer/vocab.txt` and
`log/args.json` (what it was trained with; their inference follows it). `convert` writes the same tensors under the same
names as `model.safetensors` beside `config.json` and `vocab.txt`; both kinds of folder load.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from musiscene.errors import BackendUnavailableError, ConfigError
from musiscene.networks.swinbert.config import SwinBertConfig, from_authors_options, from_weights
from musiscene.networks.swinbert.model import SwinBert
from musiscene.networks.swinbert.vocabulary import Vocabulary
from musiscene.networks.tensor_files import TensorFiles, check_names, open_tensors
from musiscene.networks.video_swin import relative_position_index

WEIGHT_FILES = ("model.safetensors", "model.bin", "best-checkpoint/model.bin", "best_checkpoint/model.bin")
_VOCABULARY_FILES = ("vocab.txt", "tokenizer/vocab.txt")
_UNUSED = ("trans_encoder.bert.pooler.", "trans_encoder.cls_img_feat.")
"""Heads that training needs and captions do not."""
_INDEX = ".attn.relative_position_index"
_MASK = "learn_vid_att.weight"
_BIAS = "trans_encoder.cls.predictions.bias"
_BIAS_TWIN = "trans_encoder.cls.predictions.decoder.bias"


@dataclass(frozen=True, slots=True)
class Files:
    """Where the parts of a checkpoint are.

    Attributes:
        weights: `model.bin` or `model.safetensors`.
        vocabulary: `vocab.txt`.
        config: Our `config.json`; None when there is none.
        authors_options: The authors' `args.json`; None when there is none.
    """

    weights: Path
    vocabulary: Path
    config: Path | None
    authors_options: Path | None


def find_files(path: Path) -> Files:
    """Look for a checkpoint at `path`: an unpacked zip of the authors, a converted folder, or the weights file itself.

    Raises:
        BackendUnavailableError: Weights or vocabulary are not there; the message says what was looked for.
    """
    if not path.exists():
        raise BackendUnavailableError(f"There are no SwinBERT weights at {path}.")
    if path.is_file():
        found, folder = [path], path.parent
    else:
        found, folder = [path / name for name in WEIGHT_FILES if (path / name).is_file()], path
    packed = [] if found and found[0].suffix != ".zip" else _zips(path)
    if packed:
        raise BackendUnavailableError(f"{packed[0]} is still packed. Run `musiscene weights convert`, or unpack it.")
    if not found:
        raise BackendUnavailableError(f"{path} holds no SwinBERT weights: none of {', '.join(WEIGHT_FILES)}.")
    weights = found[0]
    places = [folder, weights.parent]
    if weights.parent.name in ("best-checkpoint", "best_checkpoint"):
        places.append(weights.parent.parent)
    vocabulary = _first(places, _VOCABULARY_FILES)
    if vocabulary is None:
        raise BackendUnavailableError(
            f"The SwinBERT weights at {path} have no vocabulary: put vocab.txt of bert-base-uncased beside them."
        )
    return Files(weights, vocabulary, _first(places, ("config.json",)), _first(places, ("log/args.json", "args.json")))


def _zips(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.glob("*.zip"))
    return [path] if path.suffix == ".zip" else []


def _first(folders: list[Path], names: tuple[str, ...]) -> Path | None:
    return next((folder / name for folder in folders for name in names if (folder / name).is_file()), None)


def load(path: Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32) -> tuple[SwinBert, Vocabulary]:
    """The network and its words, from any of the layouts that `find_files` knows.

    Raises:
        BackendUnavailableError: A file is missing or damaged, or a tensor is missing, unknown or of the wrong shape.
        ConfigError: The configuration beside the weights describes something else.
    """
    files = find_files(path)
    weights = read_weights(files.weights)
    config = read_config(files, weights)
    model = build(config, weights, files.weights)
    vocabulary = Vocabulary.read(files.vocabulary, config)
    return model.in_precision(dtype).to(device).ready(), vocabulary


def read_weights(path: Path) -> TensorFiles:
    """The tensors of a checkpoint file under their published names, mapped from it. Nothing in it is executed.

    Raises:
        BackendUnavailableError: It is damaged, or holds something else than named tensors.
    """
    return open_tensors(path).renamed(lambda name: name.removeprefix("module."))


def read_config(files: Files, weights: TensorFiles) -> SwinBertConfig:
    """Our `config.json` where there is one; else the shapes, and what the authors' `args.json` adds to them.

    Raises:
        BackendUnavailableError: A tensor that tells a size is missing.
        ConfigError: A JSON file cannot be read.
    """
    if files.config:
        return SwinBertConfig.from_dict(_read_json(files.config))
    try:
        config = from_weights(weights.shapes)
    except KeyError as error:
        raise BackendUnavailableError(
            f"{files.weights} is no complete SwinBERT checkpoint: {error} is missing."
        ) from None
    if files.authors_options:
        config = from_authors_options(config, _read_json(files.authors_options))
    return config


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path} does not hold a JSON object.")
    return document


def build(config: SwinBertConfig, weights: Mapping[str, Tensor], source: Path) -> SwinBert:
    """The network of `config` with these `weights`, in float32 on the CPU. `source` is named where they do not fit.

    Raises:
        BackendUnavailableError: A tensor is missing, unknown or of the wrong shape; the message lists them.
    """
    given = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in weights.items()
        if not name.startswith(_UNUSED) and (config.learn_mask_enabled or name != _MASK)
    }
    index = relative_position_index(config.swin.window_size)
    for name in [name for name in given if name.endswith(_INDEX)]:
        if not torch.equal(given.pop(name), index):
            raise BackendUnavailableError(
                f"{source} was trained with another attention window than {config.swin.window_size}: {name} differs."
            )
    if _MASK in given and len(given[_MASK]) != config.visual_tokens**2:
        raise BackendUnavailableError(
            f"{source} was trained for {round(len(given[_MASK]) ** 0.5)} video tokens, but {config.max_num_frames} "
            f"frames of {config.img_res} pixels give {config.visual_tokens}. Correct max_num_frames or img_res."
        )
    with torch.device("meta"):
        model = SwinBert(config)
    check_names(source, {name: tuple(tensor.shape) for name, tensor in given.items()}, published_shapes(model))
    model.load_state_dict(given | {_BIAS_TWIN: given[_BIAS]}, strict=True, assign=True)
    embeddings = model.bert.embeddings  # computed, not loaded: they are still without storage
    embeddings.position_ids = torch.arange(config.bert.max_position_embeddings)[None]
    embeddings.token_type_ids = torch.zeros_like(embeddings.position_ids)
    return model.eval().requires_grad_(False)


def published_shapes(model: SwinBert) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor that captions need, as in the published files."""
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items() if name != _BIAS_TWIN}


def convert(source: Path, target: Path, *, dtype: torch.dtype | None = None) -> Path:
    """Write the checkpoint at `source` to the folder `target` as safetensors, without what captions do not need.

    Args:
        source: Any layout that `find_files` knows; also one of the authors' zips, or a folder with one.
        target: Made if it does not exist; its file appears when it is complete.
        dtype: Number type to store; None keeps the stored one. The learned mask always stays as it is.

    Raises:
        BackendUnavailableError: The checkpoint is not complete.
        ConfigError: Its configuration cannot be read.
    """
    packed = _zips(source) if source.suffix == ".zip" or not _first([source], WEIGHT_FILES) else []
    if packed:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target) as scratch:
            return convert(_unpack(packed[0], Path(scratch)), target, dtype=dtype)
    files = find_files(source)
    weights = read_weights(files.weights)
    config = read_config(files, weights)
    build(config, weights, files.weights)
    kept = {
        name: (tensor if dtype is None or name == _MASK else tensor.to(dtype)).contiguous()
        for name, tensor in weights.items()
        if not name.startswith(_UNUSED) and not name.endswith(_INDEX)
    }
    target.mkdir(parents=True, exist_ok=True)
    part = target / "model.safetensors.part"
    try:
        save_file(kept, part, metadata={"format": "pt"})
        part.replace(target / "model.safetensors")
    finally:
        part.unlink(missing_ok=True)
    (target / "config.json").write_text(json.dumps(config.to_dict(), indent=1) + "\n", encoding="utf-8")
    if files.vocabulary.resolve() != (target / "vocab.txt").resolve():
        shutil.copyfile(files.vocabulary, target / "vocab.txt")
    return target


def _unpack(packed: Path, folder: Path) -> Path:
    """The parts of an authors' zip that captions need, under fixed names; most of it is the optimiser's state."""
    try:
        with zipfile.ZipFile(packed) as archive:
            names = sorted(archive.namelist(), key=lambda name: "best" not in name)  # the best checkpoint comes first
            for part in ("model.bin", "vocab.txt", "args.json"):
                member = next((name for name in names if name.rsplit("/", 1)[-1] == part), None)
                if member is not None:
                    with archive.open(member) as inside, (folder / part).open("wb") as out:
                        shutil.copyfileobj(inside, out, 1 << 20)
    except (OSError, zipfile.BadZipFile, EOFError) as error:
        raise BackendUnavailableError(f"{packed} cannot be unpacked: {error}.") from error
    return folder
