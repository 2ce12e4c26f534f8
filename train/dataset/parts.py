"""Finished chunks on disk: a part that is there is complete, so work that was ended goes on with the others."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from musiscene.errors import StorageError
from musiscene.media import atomic_path
from train.dataset.sources import Row
from train.failures import TrainingError

_SCHEMA = pa.schema([("row", pa.string()), ("audio", pa.binary())])
_PLAN = "plan.json"


class Parts:
    """The parts of one dataset in a folder, one for each chunk of its rows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, facts: Mapping[str, Any], rows: int) -> None:
        """Note what is being built, or see that it is what was begun here.

        Raises:
            TrainingError: The folder holds the parts of something else.
            StorageError: The disk refused.
        """
        plan = json.loads(json.dumps({**facts, "rows": rows}, default=str))
        path = self.folder / _PLAN
        if path.is_file():
            begun = json.loads(path.read_text(encoding="utf-8"))
            other = [name for name in plan if begun.get(name) != plan[name]]
            if other:
                raise TrainingError(
                    f"{self.folder.parent} was begun with another {other[0]}. Choose another folder in `out`, put the "
                    "setting back, or begin anew with --fresh."
                )
            return
        with atomic_path(path) as part:
            part.write_text(json.dumps(plan, indent=1) + "\n", encoding="utf-8")

    def path(self, chunk: int) -> Path:
        """Where a chunk's part is."""
        return self.folder / f"part-{chunk:08d}.parquet"

    def done(self) -> set[int]:
        """The chunks that are finished."""
        return {int(path.stem.partition("-")[2]) for path in self.folder.glob("part-*.parquet")}

    def write(self, chunk: int, rows: Sequence[Row]) -> None:
        """Keep a finished chunk.

        Raises:
            StorageError: The disk refused; other parts are intact.
        """
        plain = [json.dumps({k: v for k, v in row.items() if k != "audio"}, sort_keys=True) for row in rows]
        table = pa.table([plain, [row.get("audio") for row in rows]], schema=_SCHEMA)
        with atomic_path(self.path(chunk)) as part:
            try:
                pq.write_table(table, part)
            except OSError as error:
                raise StorageError(
                    f"{self.path(chunk)} cannot be written: {error.strerror or error}. Make room and run again: "
                    "finished clips are kept."
                ) from error

    def read(self, chunk: int, *, audio: bool) -> list[Row]:
        """A chunk's rows.

        Raises:
            TrainingError: The part is damaged.
        """
        try:
            table = pq.read_table(self.path(chunk), columns=["row", "audio"] if audio else ["row"])
            rows: list[Row] = [json.loads(text) for text in table.column("row").to_pylist()]
        except (OSError, ValueError, KeyError) as error:
            raise TrainingError(f"{self.path(chunk)} is damaged. Remove it and run again.") from error
        if audio:
            for row, sound in zip(rows, table.column("audio").to_pylist(), strict=True):
                row["audio"] = sound
        return rows

    def all(self, *, audio: bool) -> Iterator[Row]:
        """All rows in their order."""
        for chunk in sorted(self.done()):
            yield from self.read(chunk, audio=audio)

    def forget_failed(self) -> int:
        """Remove the parts in which a row failed, so that they are done again; returns how many."""
        failed = [chunk for chunk in self.done() if any(row.get("error") for row in self.read(chunk, audio=False))]
        for chunk in failed:
            self.path(chunk).unlink(missing_ok=True)
        return len(failed)


def chunks(rows: Sequence[Row], size: int) -> list[list[Row]]:
    """Rows in chunks; the same rows give the same chunks."""
    return [list(rows[start : start + size]) for start in range(0, len(rows), size)]
