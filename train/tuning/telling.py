"""What a run tells: a log of lines, TensorBoard, Weights & Biases."""

from __future__ import annotations

import importlib.util
import json
import secrets
from pathlib import Path
from typing import Any

from musiscene.errors import ConfigError, StorageError
from train.tuning.config import Output

LOG = "log.jsonl"


class Teller:
    """Writes figures wherever they are wanted; one process does.

    Args:
        folder: Of the run.
        output: What was chosen.
        step: Where the run goes on; what an ended run had told beyond it is taken back.
        settings: Of the experiment.
    """

    def __init__(self, folder: Path, output: Output, step: int, epoch: int, settings: dict[str, Any]) -> None:
        self._path = folder / LOG
        self._board: Any = None
        self._wandb: Any = None
        folder.mkdir(parents=True, exist_ok=True)
        self._take_back(step, epoch)
        if output.tensorboard:
            if importlib.util.find_spec("tensorboard") is None:
                raise ConfigError(
                    "TensorBoard is not installed: `pip install tensorboard`, or output.tensorboard = false."
                )
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
        if output.wandb:
            if importlib.util.find_spec("wandb") is None:
                raise ConfigError(
                    "Weights & Biases is not installed: `pip install 'musiscene[wandb]'`, or output.wandb = false."
                )
            wandb = importlib.import_module("wandb")
            self._wandb = wandb.init(
                project=output.wandb_project,
                dir=str(folder),
                name=folder.name,
                id=self._wandb_id(),
                resume="allow",
                config=settings,
            )

    def tell(self, kind: str, step: int, **figures: Any) -> None:
        """Add a line to the log, and numbers to the boards.

        Raises:
            StorageError: The disk refused.
        """
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"kind": kind, "step": step, **figures}) + "\n")
        except OSError as error:
            raise StorageError(
                f"{self._path} cannot be written: {error.strerror}. Make room and run again: the last checkpoint "
                "is intact."
            ) from error
        numbers = {f"{kind}/{name}": value for name, value in figures.items() if isinstance(value, (int, float))}
        if self._board is not None:
            for name, value in numbers.items():
                self._board.add_scalar(name, value, step)
            for name, value in figures.items():
                if isinstance(value, str):
                    self._board.add_text(f"{kind}/{name}", value, step)
        if self._wandb is not None:
            self._wandb.log(numbers, step=step)

    def close(self) -> None:
        """Write what is waiting."""
        if self._board is not None:
            self._board.close()
        if self._wandb is not None:
            self._wandb.finish()

    def _wandb_id(self) -> str:
        """Random, and the same when the run goes on."""
        file = self._path.with_name("wandb-id")
        if not file.is_file():
            file.write_text(secrets.token_hex(8), encoding="utf-8")
        return file.read_text(encoding="utf-8").strip()

    def _take_back(self, step: int, epoch: int) -> None:
        """Remove the lines of steps and epochs that will be done again."""
        if not self._path.is_file():
            return
        kept = []
        for line in self._path.read_text(encoding="utf-8").splitlines(keepends=True):
            try:
                told = json.loads(line)
            except ValueError:  # the last line of a killed run
                continue
            if told["step"] <= step and (told["kind"] == "step" or told.get("epoch", 0) <= epoch):
                kept.append(line)
        part = self._path.with_suffix(".part")
        part.write_text("".join(kept), encoding="utf-8")
        part.replace(self._path)
