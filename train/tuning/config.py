"""What an experiment can choose; the defaults are the original's fine-tuning phase."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from musiscene.errors import ConfigError

SETS = ("adapter", "lora", "both")
METRICS = ("rouge_l", "loss")
PRECISIONS = ("auto", "bf16", "float32")


@dataclass(frozen=True, slots=True)
class Weights:
    """What is trained from. Each is a path, or a name in `musiscene weights list`.

    Attributes:
        adapter: A MU-LLaMA checkpoint in the published layout.
        base: LLaMA 2; not needed when the checkpoint holds it.
        mert: Folder of MERT.
        tokenizer: Folder of LLaMA's tokenizer; beside the base when empty.
        weights_dir: Where names are looked up; the settings' when None.
        norm_eps: Epsilon of LLaMA's norms; MusiScene ran with 1e-6.
    """

    adapter: str = "mu-llama"
    base: str = "llama-2-7b-chat-hf"
    mert: str = "mert-v1-330m"
    tokenizer: str = ""
    weights_dir: Path | None = None
    norm_eps: float = 1e-6


@dataclass(frozen=True, slots=True)
class Data:
    """What is learnt.

    Attributes:
        path: A folder that `build_dataset` wrote, or a conversation JSON of MusicQA's kind.
        audio: Folder of the sound files that a conversation JSON names.
        validation: The same kind of JSON for validation; a dataset folder has its own split.
        train_split: Name of the split to learn from.
        validation_split: Name of the split that chooses the best checkpoint.
        question: Asked instead of the dataset's own, when not empty.
        max_tokens: Longer items are cut, as in the original (and then have no end token).
        missing: "stop" or "skip": what to do about an item without its sound.
    """

    path: Path
    audio: Path | None = None
    validation: Path | None = None
    train_split: str = "train"
    validation_split: str = "validation"
    question: str = ""
    max_tokens: int = 512
    missing: str = "stop"


@dataclass(frozen=True, slots=True)
class Optimiser:
    """AdamW and its schedule (spec of the original's fine-tuning phase).

    Attributes:
        epochs: Passes over the data.
        effective_batch: Items per step, over all GPUs.
        blr: Base learning rate; the learning rate is `blr * effective_batch / 256`.
        lr: The learning rate itself, when above 0.
        warmup_epochs: Linear rise; then half a cosine down to `min_lr`.
        min_lr: Where the cosine ends.
        weight_decay: Not of vectors and biases.
        betas: Of AdamW.
        eps: Of AdamW.
        clip: Largest norm of the gradient; 0 for no bound, as in the original.
        drop_incomplete: Discard an epoch's last, smaller batch, as the original does.
    """

    epochs: int = 20
    effective_batch: int = 32
    blr: float = 1e-3
    lr: float = 0.0
    warmup_epochs: float = 1.0
    min_lr: float = 0.0
    weight_decay: float = 0.05
    betas: tuple[float, ...] = (0.9, 0.95)
    eps: float = 1e-8
    clip: float = 0.0
    drop_incomplete: bool = False

    @property
    def peak_lr(self) -> float:
        """The highest learning rate."""
        return self.lr or self.blr * self.effective_batch / 256


@dataclass(frozen=True, slots=True)
class Batches:
    """How items are put together on one GPU; it changes speed and memory, not what is learnt.

    Attributes:
        tokens: Most tokens of a micro-batch, padding included.
        rows: Most items of a micro-batch.
    """

    tokens: int = 8192
    rows: int = 64


@dataclass(frozen=True, slots=True)
class Memory:
    """What is kept where.

    Attributes:
        precision: "bf16" (frozen weights and products in bfloat16, trained weights in float32), "float32", or "auto":
            bf16 on a GPU.
        gradient_checkpointing: Compute each layer twice instead of keeping what is inside it.
        cache: Keep what does not change on disk: MERT's features, and what the trainable set leaves constant.
        cache_dir: Where; in the run's folder when None. Runs may share it.
        cache_ram_gb: So much of it is kept in main memory too.
    """

    precision: str = "auto"
    gradient_checkpointing: bool = True
    cache: bool = True
    cache_dir: Path | None = None
    cache_ram_gb: float = 4.0


@dataclass(frozen=True, slots=True)
class Validation:
    """How the best checkpoint is found.

    Attributes:
        metric: "rouge_l" of written captions, or "loss".
        captions: Captions written per epoch; 0 writes none (`metric` must be "loss").
        max_new: Longest of them, in tokens.
        patience: Stop after so many epochs without a better value; 0 never stops early.
    """

    metric: str = "rouge_l"
    captions: int = 64
    max_new: int = 256
    patience: int = 5


@dataclass(frozen=True, slots=True)
class Output:
    """What is told and kept.

    Attributes:
        save_every: Steps between checkpoints; each epoch ends with one too.
        keep: Checkpoints kept, the best one apart.
        tensorboard: Write TensorBoard's files.
        wandb: Report to Weights & Biases as well (`pip install 'musiscene[wandb]'`).
        wandb_project: Under this name.
        push_to: Repository on the Hugging Face hub that the export is pushed to; none when empty.
        private: Make it private.
    """

    save_every: int = 100
    keep: int = 2
    tensorboard: bool = True
    wandb: bool = False
    wandb_project: str = "musiscene"
    push_to: str = ""
    private: bool = True


@dataclass(frozen=True, slots=True)
class Finetune:
    """One experiment.

    Attributes:
        out: Folder of the run; a run that was ended is resumed there.
        trainable: "adapter" (aggregator, projection, blocks, prefix, gates: the paper's text), "lora" (LoRA, biases,
            norms: the original code's fine-tuning phase), or "both".
        seed: Of the order of items.
    """

    out: Path
    data: Data
    trainable: str = "adapter"
    seed: int = 0
    weights: Weights = field(default_factory=Weights)
    optimiser: Optimiser = field(default_factory=Optimiser)
    batches: Batches = field(default_factory=Batches)
    memory: Memory = field(default_factory=Memory)
    validation: Validation = field(default_factory=Validation)
    output: Output = field(default_factory=Output)

    def __post_init__(self) -> None:
        _choice("trainable", self.trainable, SETS)
        _choice("memory.precision", self.memory.precision, PRECISIONS)
        _choice("validation.metric", self.validation.metric, METRICS)
        _choice("data.missing", self.data.missing, ("stop", "skip"))
        optimiser = self.optimiser
        for name, value in (
            ("optimiser.epochs", optimiser.epochs),
            ("optimiser.effective_batch", optimiser.effective_batch),
            ("optimiser.blr and optimiser.lr", optimiser.peak_lr),
            ("optimiser.eps", optimiser.eps),
            ("validation.max_new", self.validation.max_new),
            ("batches.tokens", self.batches.tokens),
            ("batches.rows", self.batches.rows),
            ("data.max_tokens", self.data.max_tokens),
            ("output.save_every", self.output.save_every),
            ("output.keep", self.output.keep),
        ):
            if not 0 < value < math.inf:
                raise ConfigError(f"{name} must be above 0, got {value}.")
        for name, value in (
            ("optimiser.lr", optimiser.lr),
            ("optimiser.warmup_epochs", optimiser.warmup_epochs),
            ("optimiser.min_lr", optimiser.min_lr),
            ("optimiser.weight_decay", optimiser.weight_decay),
            ("optimiser.clip", optimiser.clip),
            ("memory.cache_ram_gb", self.memory.cache_ram_gb),
            ("validation.captions", self.validation.captions),
            ("validation.patience", self.validation.patience),
        ):
            if not 0 <= value < math.inf:
                raise ConfigError(f"{name} must be 0 or more, got {value}.")
        if len(optimiser.betas) != 2 or not all(0 <= beta < 1 for beta in optimiser.betas):
            raise ConfigError(f"optimiser.betas must be two numbers from 0 to below 1, got {list(optimiser.betas)}.")
        if self.validation.metric != "loss" and self.validation.captions < 1:
            raise ConfigError('validation.captions must be above 0, or set validation.metric = "loss".')


def _choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"{name} must be one of {', '.join(choices)}, got {value!r}.")
