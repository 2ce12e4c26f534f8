"""What a run leaves behind: an adapter that the app loads, the published layout, a model card, a push to the hub."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from musiscene.errors import BackendUnavailableError, StorageError
from musiscene.media import atomic_path
from musiscene.networks.mu_llama import layout
from musiscene.networks.mu_llama.checkpoint import Checkpoint
from musiscene.networks.mu_llama.model import trainable_names
from train.tuning.config import Finetune
from train.tuning.network import Trainee
from train.tuning.saving import Place, write_weights

ADAPTER = "adapter.safetensors"
PUBLISHED = "checkpoint.pth"


def export(
    folder: Path,
    trainee: Trainee,
    source: Checkpoint,
    weights: Mapping[str, Tensor],
    config: Finetune,
    place: Place,
    facts: Mapping[str, Any],
    config_file: Path | None = None,
) -> None:
    """Write the export.

    `adapter.safetensors` holds what was trained, under published names: the app lays it over MU-LLaMA.
    `checkpoint.pth` is a whole MU-LLaMA checkpoint in the original's layout (without MERT and base LLaMA).

    Args:
        folder: Where.
        trainee: The network, for its names.
        source: What was trained from: it gives what was not trained.
        weights: The trained weights by parameter name.
        config: The experiment.
        place: How it went.
        facts: For the card: counts, licences.
        config_file: The TOML file, to be copied along.

    Raises:
        StorageError: The disk refused.
    """
    sizes = source.sizes
    names = trainee.trained_names()
    whole: dict[str, Tensor] = {}
    for published in layout.published_shapes(sizes, with_base=False):
        if published in names:
            tensor = weights[names[published]]
            tensor = layout.to_pairs(tensor, sizes.heads) if layout.is_rotated(published) else tensor
            whole[published] = tensor.contiguous()
        else:
            whole[published] = source.tensor(published).contiguous()
    wanted = trainable_names(sizes, config.trainable)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder} cannot be made: {error.strerror}.") from error
    write_weights({name: tensor for name, tensor in whole.items() if name in wanted}, folder / ADAPTER)
    write_weights(whole, folder / PUBLISHED)
    with atomic_path(folder / "README.md") as part:
        part.write_text(card(config, place, facts), encoding="utf-8")
    with atomic_path(folder / "training.json") as part:
        document = {"experiment": facts, "validation": place.validated, "best_epoch": place.best_epoch + 1}
        part.write_text(json.dumps(document, indent=1, default=str) + "\n", encoding="utf-8")
    if config_file is not None:
        shutil.copyfile(config_file, folder / "finetune.toml")


def card(config: Finetune, place: Place, facts: Mapping[str, Any]) -> str:
    """The model card."""
    best = place.validated[place.best_epoch] if place.validated else {}
    figures = "\n".join(f"| {name} | {value:.4f} |" for name, value in best.items() if name != "epoch")
    optimiser = config.optimiser
    sets = {
        "adapter": "the music adapter (aggregator, projection, gated blocks), the prefix queries and the gates",
        "lora": "LoRA, biases and norms of LLaMA",
        "both": "the music adapter, prefix queries and gates, and LoRA, biases and norms of LLaMA",
    }
    metadata = "\n".join(
        [
            "---",
            "library_name: musiscene",
            "license: other",
            "license_name: llama2-and-cc-by-nc-4.0",
            "base_model: meta-llama/Llama-2-7b-chat-hf",
            "pipeline_tag: audio-text-to-text",
            "language: en",
            "tags: [music, captioning, musiscene, mu-llama]",
            "---",
        ]
    )
    return f"""{metadata}

# A MusiScene adapter

It imagines the scene that a piece of music evokes. It is laid over MU-LLaMA and LLaMA 2 7B chat, which it does not
contain, and listens through MERT-v1-330M.

## Use

```sh
musiscene weights use musiscene {ADAPTER}
```

`{ADAPTER}` holds what was trained under the published names; `{PUBLISHED}` is a whole MU-LLaMA checkpoint in the
original's layout, without MERT and base LLaMA.

## Training

- Trained: {sets[config.trainable]} (`trainable = "{config.trainable}"`), {facts.get("trained_values", 0):,} values.
- Data: {facts.get("train_items", 0)} items to learn from, {facts.get("validation_items", 0)} to validate, from
  `{config.data.path.name}`; its own card tells where the sound and the words come from.
- AdamW, betas {tuple(optimiser.betas)}, weight decay {optimiser.weight_decay}, effective batch
  {optimiser.effective_batch}, learning rate {optimiser.peak_lr:.3g} with {optimiser.warmup_epochs:g} epoch(s)
  of warm-up and half a cosine, {optimiser.epochs} epochs at most, seed {config.seed}; loss on the answer only.
- {place.step} steps were done in {place.epoch} epochs; the weights are those of epoch {place.best_epoch + 1}, which has
  the best {config.validation.metric}.

| On validation | |
| --- | --- |
{figures}

ROUGE-L is the F1 of `rouge-score` with stems over {config.validation.captions} greedily written captions at most.

## Limits

It repeats what its training captions say, which other models wrote: their mistakes and tastes are in it. Music
other than that of its training set may be described wrongly. A caption is not evidence of what a recording contains.

## Licences

LLaMA 2 is under the Llama 2 Community License, MERT under CC-BY-NC-4.0 (no commercial use), MU-LLaMA's repository under
GPL-3.0. What was trained from them inherits their conditions.
"""


def push(folder: Path, repo_id: str, *, private: bool, endpoint: str | None = None) -> str:
    """Upload the export; returns its address.

    Raises:
        BackendUnavailableError: The hub refused or cannot be reached; the export on disk is whole.
    """
    from huggingface_hub import HfApi, utils
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    http: Any = utils  # its client speaks HTTP with one of two packages, and names it alike
    try:
        api = HfApi(endpoint=endpoint)
        address = api.create_repo(repo_id, private=private, exist_ok=True)
        api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="A MusiScene adapter")
    except (HfHubHTTPError, HFValidationError, http.httpx.HTTPError, OSError, ValueError) as error:
        raise BackendUnavailableError(
            f"The export was not pushed to {repo_id} ({type(error).__name__}): check the name, the connection and "
            f"`hf auth login`. It lies whole in {folder}; push it with `hf upload {repo_id} {folder}`."
        ) from error
    return str(address)
