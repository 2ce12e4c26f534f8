"""Fine-tune MusiScene: `accelerate launch -m train.finetune CONFIG.toml` (or `python -m` for one process).

A run that was ended is resumed by the same command. See docs/training.md.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, DistributedType, set_seed
from safetensors.torch import load_file

from musiscene.errors import ConfigError
from musiscene.media import atomic_path
from musiscene.networks.mert import load_mert
from musiscene.networks.mu_llama.checkpoint import Checkpoint, open_checkpoint
from musiscene.networks.mu_llama.convert import is_converted
from musiscene.networks.mu_llama.memory import memory_free
from musiscene.networks.mu_llama.model import MuLlama
from musiscene.networks.mu_llama.tokenizer import LlamaTokenizer, load_tokenizer
from train.failures import TrainingError, run_main
from train.toml_files import plain, read_config
from train.tuning.config import Finetune
from train.tuning.constants import Constants
from train.tuning.estimates import MEMORY, PEAKS, estimate, precision, report
from train.tuning.examples import Example, Tokens, check_tokenizer, read_examples, tokenized
from train.tuning.export import export, push
from train.tuning.features import listen_to_all
from train.tuning.loop import BEST, Run, Split
from train.tuning.network import Trainee
from train.tuning.saving import Checkpoints
from train.tuning.schedule import parameter_groups
from train.tuning.sources import locate
from train.tuning.stores import TensorStore

_LOG = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="train.finetune", description="Fine-tune MusiScene.")
    parser.add_argument("config", type=Path, help="a TOML file; train/configs has some")
    parser.add_argument("--dry-run", action="store_true", help="tell what the run takes, and end")
    parser.add_argument("--json", action="store_true", help="with --dry-run: as JSON")
    parser.add_argument("--gpu", choices=sorted(PEAKS), default="", help="with --dry-run: of a GPU that is not here")
    parser.add_argument("--gpus", type=int, default=1, help="with --gpu: so many of them")
    given = parser.parse_args(arguments)
    if given.gpus < 1:
        parser.error(f"--gpus must be at least 1, got {given.gpus}")
    config = load_config(given.config)
    if given.dry_run:
        print(dry_run(config, as_json=given.json, gpu=given.gpu, gpus=given.gpus))
        return 0
    folder = finetune(config, given.config)
    if folder is not None:
        print(
            f"The adapter is in {folder}; use it with: musiscene weights use musiscene {folder / 'adapter.safetensors'}"
        )
    return 0


def load_config(path: Path) -> Finetune:
    """Read an experiment; paths of weights count from the file's folder as all others do.

    Raises:
        ConfigError: It cannot be used; the message says which setting.
    """
    config = read_config(path, Finetune)
    beside = path.resolve().parent
    names = ("adapter", "base", "mert", "tokenizer")
    given = {name: getattr(config.weights, name) for name in names}
    there: dict[str, Any] = {
        name: str(beside / value) for name, value in given.items() if value and (beside / value).exists()
    }
    return replace(config, weights=replace(config.weights, **there))


def open_sources(config: Finetune) -> tuple[Checkpoint, LlamaTokenizer]:
    """The checkpoint that is trained from, unread, and the tokenizer.

    Raises:
        BackendUnavailableError: Something is missing, gated, damaged or another network's.
        TrainingError: The tokenizer is another model's.
    """
    weights = config.weights
    adapter = locate(weights.adapter, weights.weights_dir)
    if adapter.is_dir() and is_converted(adapter):
        raise ConfigError(f"{adapter} is merged for generating: train from the published checkpoint instead.")
    base = locate(weights.base, weights.weights_dir) if weights.base else None
    checkpoint = open_checkpoint(adapter, base, norm_eps=weights.norm_eps)
    folder = locate(weights.tokenizer, weights.weights_dir) if weights.tokenizer else (base or adapter)
    folder = folder if folder.is_dir() else folder.parent
    tokenizer = load_tokenizer(folder)
    check_tokenizer(tokenizer, checkpoint.sizes.vocabulary, folder)
    if config.trainable != "adapter" and not checkpoint.sizes.finetuned:
        raise ConfigError(
            f'{adapter} has no LoRA (it is of the pretraining phase), so only trainable = "adapter" can be trained.'
        )
    return checkpoint, tokenizer


def dry_run(config: Finetune, *, as_json: bool = False, gpu: str = "", gpus: int = 1) -> str:
    """What the run would take, in words; nothing but headers and texts is read."""
    checkpoint, tokenizer = open_sources(config)
    examples = read_examples(config.data, config.data.train_split)
    tokens = [tokenized(tokenizer, example, config.data.max_tokens) for example in examples]
    accelerator = Accelerator()
    lengths = [len(item.ids) for item in tokens]
    answers = [len(item.ids) - item.prompt for item in tokens]
    device = torch.device("cuda") if gpu else accelerator.device
    ranks = gpus if gpu else accelerator.num_processes
    found = estimate(config, checkpoint.sizes, lengths, answers, device, ranks, gpu)
    free = MEMORY[gpu] if gpu else memory_free(str(device))
    if as_json:
        return json.dumps({**found.as_dict(), "free": free}, indent=1)
    return report(found, config, free, len(tokens), ranks)


def finetune(config: Finetune, config_file: Path | None = None) -> Path | None:
    """Run an experiment to its end; returns the export's folder on the main process, None on others.

    Raises:
        MusisceneError: It cannot go on; what was saved is intact.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("absl").setLevel(logging.WARNING)  # rouge-score greets with every caption's first word
    checkpoint, tokenizer = open_sources(config)
    set_seed(config.seed)
    accelerator = _accelerator(config)
    if config.optimiser.effective_batch < accelerator.num_processes:
        raise ConfigError(
            f"optimiser.effective_batch is {config.optimiser.effective_batch} and there are "
            f"{accelerator.num_processes} processes: each needs at least one item per step."
        )
    if accelerator.distributed_type == DistributedType.FSDP and config.validation.captions:
        raise ConfigError(
            "Captions cannot be written while the weights lie in shards: set validation.captions = 0 and "
            'validation.metric = "loss".'
        )
    cache = config.memory.cache_dir or config.out / "cache"
    store = TensorStore(cache if config.memory.cache else None, config.memory.cache_ram_gb * 1e9)
    read = {
        split: read_examples(config.data, split) for split in (config.data.train_split, config.data.validation_split)
    }
    words = {
        split: [tokenized(tokenizer, example, config.data.max_tokens) for example in found]
        for split, found in read.items()
    }
    _check_answers(words[config.data.train_split], config)
    heard = _hear(config, checkpoint, accelerator, read, store)

    trainee = _load(config, checkpoint, accelerator)
    constants = Constants(
        trainee, store, accelerator.device, precision=precision(config, accelerator.device), use=config.memory.cache
    )
    splits = {
        split: Split(found, [constants.item(t, f) for t, f in zip(words[split], heard[split], strict=True)])
        for split, found in read.items()
    }
    _prepare(config, accelerator, constants, splits)
    learn, validate = splits[config.data.train_split], splits[config.data.validation_split]
    groups = parameter_groups(
        ((n, p) for n, p in trainee.named_parameters() if p.requires_grad), config.optimiser.weight_decay
    )
    optimiser = config.optimiser
    betas = (optimiser.betas[0], optimiser.betas[1])
    fused = accelerator.device.type == "cuda"  # one pass over the weights instead of a dozen
    adamw = torch.optim.AdamW(groups, lr=0.0, betas=betas, eps=optimiser.eps, fused=fused)
    network, optimizer = accelerator.prepare(trainee, adamw)
    settings = plain(config)
    identity = _experiment(settings, learn, validate)
    run = Run(
        config,
        accelerator,
        network,
        trainee,
        optimizer,
        constants,
        tokenizer,
        Checkpoints(config.out / "checkpoints", config.output.keep, identity),
    )
    if accelerator.is_main_process:
        with atomic_path(config.out / "experiment.json") as part:
            part.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    place = run.go(learn, validate, settings)
    folder = None
    if accelerator.is_main_process:
        folder = config.out / "export"
        facts = {
            **settings,
            "train_items": len(learn.items),
            "validation_items": len(validate.items),
            "trained_values": sum(p.numel() for p in trainee.parameters() if p.requires_grad),
        }
        export(folder, trainee, checkpoint, load_file(config.out / BEST), config, place, facts, config_file)
        if config.output.push_to:
            _LOG.info("pushed to %s", push(folder, config.output.push_to, private=config.output.private))
    accelerator.wait_for_everyone()
    accelerator.end_training()
    return folder


def _accelerator(config: Finetune) -> Accelerator:
    probe = Accelerator()  # the device is known only to it
    if os.environ.get("ACCELERATE_USE_FSDP") == "true" and probe.distributed_type != DistributedType.FSDP:
        raise ConfigError("accelerate shards weights over GPUs only. Without them use a configuration without FSDP.")
    if probe.num_processes != int(os.environ.get("WORLD_SIZE") or 1):
        raise ConfigError(
            f"accelerate started {os.environ['WORLD_SIZE']} processes that do not know of each other. Give it --cpu, "
            "or as many processes as there are GPUs."
        )
    half = precision(config, probe.device) == "bf16"
    return Accelerator(
        mixed_precision="bf16" if half else "no",
        kwargs_handlers=[DistributedDataParallelKwargs(gradient_as_bucket_view=True)],
    )


def _hear(
    config: Finetune,
    checkpoint: Checkpoint,
    accelerator: Accelerator,
    read: dict[str, list[Example]],
    store: TensorStore,
) -> dict[str, list[str]]:
    """Names of the features of every item, each heard by one of the processes."""
    mert = load_mert(locate(config.weights.mert, config.weights.weights_dir), device=str(accelerator.device))
    sizes = checkpoint.sizes
    if (mert.states, int(mert.network.config.hidden_size)) != (sizes.mert_states, sizes.mert_dim):
        raise TrainingError(
            f"{config.weights.mert} gives {mert.states} states of {mert.network.config.hidden_size} values, and this "
            f"MU-LLaMA listens to {sizes.mert_states} of {sizes.mert_dim}: name the MERT that it was trained with."
        )
    rank, ranks = accelerator.process_index, accelerator.num_processes

    def tell(done: int, total: int) -> None:
        if accelerator.is_main_process and (done % 200 == 0 or done == total):
            _LOG.info("listened to %d of %d", done, total)

    if ranks > 1 and store.folder is not None:
        for found in read.values():
            listen_to_all(found[rank::ranks], mert, store)
        accelerator.wait_for_everyone()
    heard = {split: listen_to_all(found, mert, store, on_progress=tell) for split, found in read.items()}
    del mert
    gc.collect()
    return heard


def _load(config: Finetune, checkpoint: Checkpoint, accelerator: Accelerator) -> Trainee:
    half = precision(config, accelerator.device) == "bf16"
    sharded = accelerator.distributed_type == DistributedType.FSDP
    # Shards hold one type; the products are computed in bfloat16 all the same.
    dtype = torch.bfloat16 if half and not sharded else torch.float32
    with torch.device("meta"):
        model = MuLlama(checkpoint.sizes)
    model.load(checkpoint, dtype=dtype, device="cpu" if sharded else str(accelerator.device))
    return Trainee(model, config.trainable, checkpointing=config.memory.gradient_checkpointing)


def _prepare(config: Finetune, accelerator: Accelerator, constants: Constants, splits: dict[str, Split]) -> None:
    """Compute the constants of every item, each by one of the processes; then what another did not leave here."""
    rank, ranks = accelerator.process_index, accelerator.num_processes
    items = [item for split in splits.values() for item in split.items]
    limits: dict[str, Any] = {"tokens": config.batches.tokens, "rows": config.batches.rows}

    def tell(done: int, total: int) -> None:
        if accelerator.is_main_process and (done == total or done % 100 < 8):
            _LOG.info("computed what stays constant for %d of %d", done, total)

    with accelerator.autocast():
        if ranks > 1 and constants.store.folder is not None:
            constants.prepare(items[rank::ranks], **limits)
            accelerator.wait_for_everyone()
        constants.prepare(items, **limits, on_progress=tell)


def _check_answers(words: Sequence[Tokens], config: Finetune) -> None:
    cut = sum(len(item.ids) <= item.prompt for item in words)
    if cut:
        raise TrainingError(
            f"{cut} of {len(words)} questions fill all of data.max_tokens = {config.data.max_tokens}, so nothing of "
            "their answers is left to learn. Raise it."
        )


def _experiment(settings: dict[str, Any], learn: Split, validate: Split) -> dict[str, Any]:
    """What must not change between a run and its continuation."""
    kept = ("trainable", "seed", "optimiser")
    return {
        **{name: settings[name] for name in kept},
        "weights": {name: settings["weights"][name] for name in ("adapter", "base", "norm_eps")},
        "data": {
            "train_items": len(learn.items),
            "validation_items": len(validate.items),
            "max_tokens": settings["data"]["max_tokens"],
        },
        "validation": {"metric": settings["validation"]["metric"]},
    }


if __name__ == "__main__":
    sys.exit(run_main(main))
