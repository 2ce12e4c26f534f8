"""The run: steps, epochs, validation; one process or many."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, gather_object
from torch import Tensor

from musiscene.media import atomic_path
from musiscene.metrics.words import rouge_l
from musiscene.networks.mu_llama.tokenizer import LlamaTokenizer
from train.failures import TrainingError
from train.tuning.batches import effective_batches, planned, useful_of
from train.tuning.config import Finetune
from train.tuning.constants import Constants, Item
from train.tuning.examples import Example
from train.tuning.network import Trainee
from train.tuning.saving import Background, Checkpoints, Place, write_weights
from train.tuning.schedule import learning_rate
from train.tuning.sharding import gather_state, restore_state
from train.tuning.telling import Teller
from train.tuning.writing import write

_LOG = logging.getLogger(__name__)

BEST = "best.safetensors"
"""Weights of the best epoch, by parameter name."""


@dataclass(frozen=True)
class Split:
    """The items of a split, as text and ready for training."""

    examples: Sequence[Example]
    items: Sequence[Item]

    @property
    def lengths(self) -> list[int]:
        """Tokens of each item."""
        return [len(item.tokens.ids) for item in self.items]


class Run:
    """One experiment on one or many processes.

    Args:
        config: What was chosen.
        accelerator: Who does the work.
        network: The trainee as the accelerator wrapped it.
        trainee: The trainee itself.
        optimizer: AdamW as the accelerator wrapped it.
        constants: Makes batches.
        tokenizer: For the written samples.
        checkpoints: Where the run is saved.
    """

    def __init__(
        self,
        config: Finetune,
        accelerator: Accelerator,
        network: Any,
        trainee: Trainee,
        optimizer: Any,
        constants: Constants,
        tokenizer: LlamaTokenizer,
        checkpoints: Checkpoints,
    ) -> None:
        self.config, self.accelerator, self.network, self.trainee = config, accelerator, network, trainee
        self.optimizer, self.constants, self.tokenizer, self.checkpoints = optimizer, constants, tokenizer, checkpoints
        self.place = Place()
        self._saving = Background()

    def go(self, learn: Split, validate: Split, settings: dict[str, Any]) -> Place:
        """Train from the beginning, or from the newest checkpoint, to the end or until nothing gets better.

        Raises:
            TrainingError: The loss is no number any more; the last checkpoint is intact.
            StorageError: The disk refused.
        """
        saved = self.checkpoints.load()
        if saved is not None:
            restore_state(self.accelerator, self.network, self.optimizer, saved.weights, saved.optimiser)
            self.place = saved.place
            _LOG.info("going on after step %d (epoch %d)", self.place.step, self.place.epoch)
        teller = None
        if self.accelerator.is_main_process:
            teller = Teller(self.config.out, self.config.output, self.place.step, self.place.epoch, settings)
        try:
            while self.place.epoch < self.config.optimiser.epochs and not self.exhausted:
                self._epoch(learn, teller)
                self._validate(validate, teller)
        finally:
            try:
                self._saving.close()  # a save that failed is why a run ends, whatever came after it
            finally:
                if teller is not None:
                    teller.close()
        return self.place

    @property
    def exhausted(self) -> bool:
        """Whether validation has not got better for as many epochs as the run is patient."""
        patience = self.config.validation.patience
        return patience > 0 and self.place.best is not None and self.place.epoch - 1 - self.place.best_epoch >= patience

    def _epoch(self, learn: Split, teller: Teller | None) -> None:
        config, place = self.config, self.place
        batches = effective_batches(
            len(learn.items),
            config.optimiser.effective_batch,
            config.seed,
            place.epoch,
            drop_incomplete=config.optimiser.drop_incomplete,
        )
        lengths = learn.lengths
        batches = [batch for batch in batches if len(batch) >= self.accelerator.num_processes]
        self.network.train()
        plans = [self._plan(batch, lengths) for batch in batches[place.batch :]]
        began, tokens = time.perf_counter(), 0
        for (_, idle), (made, useful) in zip(plans, self._prefetched(plans, learn), strict=True):
            batch = batches[place.batch]
            done = place.batch * config.optimiser.effective_batch / len(learn.items)
            rate = learning_rate(config.optimiser, place.epoch + done)
            loss = self._step(made, len(batch), rate, idle)
            tokens += sum(lengths[item] for item in batch)
            place.step += 1
            place.batch += 1
            if teller is not None:
                teller.tell(
                    "step",
                    place.step,
                    epoch=place.epoch,
                    loss=loss,
                    lr=rate,
                    tokens_per_s=round(tokens / max(time.perf_counter() - began, 1e-9), 1),
                    useful=round(useful, 4),
                )
            if place.step % config.output.save_every == 0 and place.batch < len(batches):
                self._save()
        place.epoch += 1
        place.batch = 0

    def _plan(self, batch: Sequence[int], lengths: Sequence[int]) -> tuple[list[list[int]], int]:
        """Micro-batches of an effective batch that belong to this process; the last ones count for nothing."""
        accelerator, limits = self.accelerator, self.config.batches
        sharded = accelerator.distributed_type == DistributedType.FSDP
        rank, ranks = accelerator.process_index, accelerator.num_processes
        return planned(batch, lengths, rank, ranks, limits.tokens, limits.rows, even=sharded)

    def _prefetched(
        self, plans: Sequence[tuple[list[list[int]], int]], learn: Split
    ) -> Iterator[tuple[list[dict[str, Any]], float]]:
        """Each step's tensors and their useful share; the next one's are read while this one's are computed with."""
        items, lengths = learn.items, learn.lengths

        def read(plan: tuple[list[list[int]], int]) -> tuple[list[dict[str, Any]], float]:
            made = [self.constants.batch([items[index] for index in group]) for group in plan[0]]
            return made, useful_of(plan[0], lengths)

        def begin() -> None:
            """Threads begin on the first GPU, whichever their process works with."""
            if self.accelerator.device.type == "cuda":
                torch.cuda.set_device(self.accelerator.device)

        with ThreadPoolExecutor(1, "prefetch", initializer=begin) as reader:
            waiting = reader.submit(read, plans[0]) if plans else None
            for following in [*plans[1:], None]:
                assert waiting is not None
                ready = waiting.result()
                waiting = reader.submit(read, following) if following is not None else None
                yield ready

    def _step(self, batches: Sequence[dict[str, Any]], size: int, rate: float, idle: int) -> float:
        """One optimiser step; returns the mean of the items' losses, over all processes.

        Args:
            batches: Micro-batches of this process.
            size: Items of the step, over all processes.
            rate: Learning rate.
            idle: So many of `batches`, the last ones, count for nothing.
        """
        accelerator, ranks = self.accelerator, self.accelerator.num_processes
        total = torch.zeros((), device=accelerator.device)
        for index, made in enumerate(batches):
            last = index + 1 == len(batches)
            with nullcontext() if last else accelerator.no_sync(self.network):
                with accelerator.autocast():
                    losses = self.network(**made)
                counted = float(index < len(batches) - idle)
                # Processes average their gradients, so each counts its share `ranks` times.
                accelerator.backward(losses.sum() * (counted * ranks / size))
            total += losses.detach().sum() * counted
        trained = self._trained()
        norm = torch.nn.utils.get_total_norm([p.grad for p in trained if p.grad is not None])
        if self.config.optimiser.clip:
            torch.nn.utils.clip_grads_with_norm_(trained, self.config.optimiser.clip, norm)
        whole = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
        told = torch.stack([accelerator.reduce(total, "sum") / size, whole.float()])
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        # The one place that waits for a GPU. Weights that a broken step has spoilt are saved nowhere.
        loss, size_of_gradient = told.tolist()
        if not (math.isfinite(loss) and math.isfinite(size_of_gradient)):
            what = f"The loss is {loss} and the gradient's norm {size_of_gradient} at step {self.place.step + 1}"
            raise TrainingError(_diverged(what))
        return float(loss)

    def _trained(self) -> list[torch.nn.Parameter]:
        return [parameter for parameter in self.network.parameters() if parameter.requires_grad]

    # -- validation ----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def _validate(self, validate: Split, teller: Teller | None) -> None:
        """Loss and captions of the validation split; the best so far is written out, then the epoch's checkpoint."""
        place, chosen = self.place, self.config.validation
        self.network.eval()
        values = {"loss": self._validation_loss(validate)}
        samples: list[dict[str, str]] = []
        if chosen.captions:
            samples = self._samples(validate)
            scores = [rouge_l([row["reference"]], row["written"]).f for row in samples]
            values["rouge_l"] = sum(scores) / max(len(scores), 1)
        value = values[chosen.metric]
        better = place.best is None or (value < place.best if chosen.metric == "loss" else value > place.best)
        if better:
            place.best, place.best_epoch = value, place.epoch - 1
        place.validated.append({"epoch": float(place.epoch), **values})
        if teller is not None:
            shown = {f"sample_{i}": f"{row['clip']}: {row['written']}" for i, row in enumerate(samples[:4])}
            teller.tell("validation", place.step, epoch=place.epoch, **values, **shown)
            _LOG.info("epoch %d: %s", place.epoch, ", ".join(f"{n} {v:.4f}" for n, v in values.items()))
            if samples:
                self._write_samples(samples)
        self._save(best=better)

    def _validation_loss(self, validate: Split) -> float:
        accelerator = self.accelerator
        lengths = validate.lengths
        plan, idle = self._plan(range(len(lengths)), lengths)
        total = torch.zeros((), device=accelerator.device)
        for number, group in enumerate(plan):
            with accelerator.autocast():
                losses = self.network(**self.constants.batch([validate.items[index] for index in group]))
            total += losses.sum() * float(number < len(plan) - idle)
        return float(accelerator.reduce(total, "sum")) / len(lengths)

    def _samples(self, validate: Split) -> list[dict[str, str]]:
        """Captions of the same items every epoch, spread over the processes."""
        accelerator, chosen = self.accelerator, self.config.validation
        count = min(chosen.captions, len(validate.items))
        step = len(validate.items) / count
        picked = [int(index * step) for index in range(count)]
        mine = picked[accelerator.process_index :: accelerator.num_processes]
        items = [validate.items[index] for index in mine]
        rows: list[dict[str, str]] = []
        if items:
            with accelerator.autocast():
                written = write(
                    self.trainee,
                    self.tokenizer,
                    [item.tokens.ids[: item.tokens.prompt] for item in items],
                    [self._pooled(item) for item in items],
                    max_new=chosen.max_new,
                    device=accelerator.device,
                )
            for index, text in zip(mine, written, strict=True):
                example = validate.examples[index]
                rows.append(
                    {"clip": example.name, "question": example.question, "reference": example.answer, "written": text}
                )
        gathered: list[dict[str, str]] = gather_object(rows)
        return sorted(gathered, key=lambda row: row["clip"])

    def _pooled(self, item: Item) -> Tensor:
        features = self.constants.store.get(item.features)
        assert features is not None, "features are prepared before the first step"
        return features

    def _write_samples(self, samples: Sequence[dict[str, str]]) -> None:
        with atomic_path(self.config.out / "samples" / f"epoch-{self.place.epoch:03d}.jsonl") as part:
            part.write_text("".join(json.dumps(row) + "\n" for row in samples), encoding="utf-8")

    # -- saving --------------------------------------------------------------------------------------------------

    def _save(self, *, best: bool = False) -> None:
        """Copy the state and have it written while the training goes on.

        Raises:
            TrainingError: There are values in it that are no numbers; nothing is written.
            StorageError: The save before this one failed.
        """
        self._saving.wait()  # before the next copy is made, so that memory holds one
        weights, optimiser = gather_state(self.accelerator, self.network, self.optimizer)
        broken = [name for name, tensor in weights.items() if not torch.isfinite(tensor).all()]
        if broken:  # a step that was too large shows in the weights before it shows in a loss
            raise TrainingError(_diverged(f"{broken[0]} holds values that are no numbers after step {self.place.step}"))
        if self.accelerator.is_main_process:
            place = deepcopy(self.place)

            def write_all() -> None:
                if best:
                    write_weights(weights, self.config.out / BEST)
                self.checkpoints.save(weights, optimiser, place)

            self._saving.begin(write_all)
        self.accelerator.wait_for_everyone()


def _diverged(what: str) -> str:
    return (
        f"{what}, so nothing can be learnt from here. Lower optimiser.blr or set optimiser.clip = 1.0, and begin in "
        "another folder: the last checkpoint is intact, and no broken weights were saved."
    )
