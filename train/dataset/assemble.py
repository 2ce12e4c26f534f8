"""From parts to a dataset: judged, split, written as Parquet with a report and a card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from musiscene.errors import StorageError
from musiscene.media import atomic_path
from train.dataset.card import card
from train.dataset.config import Dataset
from train.dataset.parts import Parts
from train.dataset.quality import Judge, counted
from train.dataset.sources import TEXTS, Row
from train.dataset.splits import joined, split_by_group
from train.failures import TrainingError

_GROUP = 64
"""Rows of a Parquet row group: some tens of megabytes, which a reader of one row has to read."""


@dataclass
class Report:
    """What became of every row.

    Attributes:
        name: Of the dataset.
        rows: That were looked at.
        splits: Rows of each split.
        left_out: Reason -> how many rows were left out for it.
        failed: Stage -> how many rows failed there.
        examples: Reason or stage -> a few of them.
        words: Words of the targets: mean, median, least, most.
        models: Stage -> what wrote, and how often.
        with_audio: Rows with sound.
    """

    name: str
    rows: int = 0
    splits: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    words: dict[str, float] = field(default_factory=dict)
    models: dict[str, dict[str, int]] = field(default_factory=dict)
    with_audio: int = 0


def assemble(config: Dataset, parts: Parts) -> Report:
    """Write `data/*.parquet`, `report.json`, `left-out.jsonl`, `README.md`; all rows are never in memory at once.

    Raises:
        TrainingError: Not one row is left.
        StorageError: The disk refused.
    """
    report = Report(config.name)
    verdicts, kept_rows = _judge(config, parts, report)
    if not kept_rows:
        told = ", ".join(f"{count} {reason}" for reason, count in report.left_out.items())
        first = next(iter(report.examples.values()), [""])[0]
        raise TrainingError(f"Of {report.rows} clips none is left ({told}). The first: {first}")
    groups = joined([row["video_id"] for row in kept_rows], [row.get("audio_sha256", "") for row in kept_rows])
    split_of = dict(
        zip((row["clip_id"] for row in kept_rows), split_by_group(groups, config.splits, config.seed), strict=True)
    )
    report.splits = {name: sum(split == name for split in split_of.values()) for name in config.splits}
    _measure(report, kept_rows)

    fresh = config.out / ".data.part"
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        fresh.mkdir(parents=True)
        _write(config, parts, verdicts, split_of, fresh)
        shutil.rmtree(config.out / "data", ignore_errors=True)
        fresh.rename(config.out / "data")
    except OSError as error:
        raise StorageError(
            f"The dataset cannot be written to {config.out}: {error.strerror or error}. Make room and run again: "
            "finished clips are kept."
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    _write_json(config.out / "report.json", report.__dict__)
    with atomic_path(config.out / "README.md") as part:
        part.write_text(card(config, report), encoding="utf-8")
    return report


def features() -> Any:
    """The columns, as `datasets` knows them."""
    from datasets import Audio, Features, Sequence, Value

    text = Value("string")
    return Features(
        {
            "clip_id": text,
            "video_id": text,
            "source": text,
            "start_s": Value("float64"),
            "end_s": Value("float64"),
            "duration_s": Value("float64"),
            "labels": Sequence(text),
            "audio": Audio(),
            "has_audio": Value("bool"),
            "audio_sha256": text,
            **dict.fromkeys(TEXTS, text),
            "question": text,
            "answer": text,
            "prompts": text,
            "models": text,
            "revisions": text,
            "licenses": Sequence(text),
            "seed": Value("int64"),
        }
    )


def finished(row: Row, config: Dataset) -> Row:
    """A row with its question and answer, as it is judged and written."""
    given = row.get("answer")
    return {
        **row,
        "question": row.get("question") or config.question,
        "answer": given if given is not None else row.get("msi_target", ""),
        "short_answer": given is not None,
    }


def _judge(config: Dataset, parts: Parts, report: Report) -> tuple[list[bool], list[Row]]:
    """Whether each row is kept, in their order, and those that are, without sound."""
    judge, verdicts, kept, reasons, stages = Judge(config), [], [], [], []
    with atomic_path(config.out / "left-out.jsonl") as part, part.open("w", encoding="utf-8") as file:
        for raw in parts.all(audio=False):
            row = finished(raw, config)
            report.rows += 1
            reason = judge.why_not(row)
            verdicts.append(not reason)
            if not reason:
                kept.append({k: row.get(k) for k in ("clip_id", "video_id", "audio_sha256", "answer", "models")})
                continue
            reasons.append(reason)
            why = row.get("error") or row["answer"]
            if row.get("failed_stage"):
                stages.append(row["failed_stage"])
            examples = report.examples.setdefault(row.get("failed_stage") or reason, [])
            if len(examples) < 3:
                examples.append(f"{row['clip_id']}: {why[:200]}")
            file.write(json.dumps({"clip_id": row["clip_id"], "reason": reason, "why": why}) + "\n")
    report.left_out, report.failed = counted(reasons), counted(stages)
    for row in kept:
        row["audio_sha256"] = row["audio_sha256"] or ""
    return verdicts, kept


def _measure(report: Report, rows: Iterable[Row]) -> None:
    lengths = sorted(len(row["answer"].split()) for row in rows)
    report.words = {
        "mean": round(sum(lengths) / len(lengths), 1),
        "median": lengths[len(lengths) // 2],
        "least": lengths[0],
        "most": lengths[-1],
    }
    for row in rows:
        report.with_audio += bool(row["audio_sha256"])
        for stage, model in (row["models"] or {}).items():
            name = " ".join(filter(None, (model.get("backend"), model.get("model") or model.get("repo_id"))))
            counts = report.models.setdefault(stage, {})
            counts[name] = counts.get(name, 0) + 1


def _write(config: Dataset, parts: Parts, verdicts: list[bool], split_of: Mapping[str, str], folder: Path) -> None:
    """One pass over all parts; every split has an open shard, renamed when their number is known."""
    schema = features().arrow_schema
    shards = {name: _Shards(folder, name, schema, config.work.shard_mb * 1e6) for name in config.splits}
    for row, kept in zip(parts.all(audio=True), verdicts, strict=True):
        if kept:
            shards[split_of[row["clip_id"]]].add(_record(finished(row, config), config))
    for split in shards.values():
        split.finish()


def _record(row: Row, config: Dataset) -> Row:
    from train.dataset.stages import row_seed

    audio, models = row.get("audio"), row.get("models", {})
    licences = {model["license"] for model in models.values() if model.get("license")}
    return {
        **{name: row.get(name, "") or "" for name in ("clip_id", "video_id", "source", "audio_sha256", *TEXTS)},
        "start_s": float(row["start_s"]),
        "end_s": float(row.get("end_s", 0.0)),
        "duration_s": float(row.get("duration_s", 0.0)),
        "labels": row["labels"],
        "audio": {"bytes": audio, "path": f"{row['clip_id'].replace('/', '_')}.flac"} if audio else None,
        "has_audio": bool(audio),
        "question": row["question"],
        "answer": row["answer"],
        "prompts": json.dumps(row.get("prompts", {}), sort_keys=True),
        "models": json.dumps(models, sort_keys=True),
        "revisions": json.dumps({k: v["revision"] for k, v in models.items() if v.get("revision")}, sort_keys=True),
        "licenses": sorted(licences),
        "seed": row_seed(config.seed, row["clip_id"]),
    }


class _Shards:
    """The Parquet files of one split."""

    def __init__(self, folder: Path, split: str, schema: pa.Schema, size: float) -> None:
        self._folder, self._split, self._schema, self._size = folder, split, schema, size
        self._writer: pq.ParquetWriter | None = None
        self._rows: list[Row] = []
        self._bytes, self._count = 0.0, 0

    def add(self, row: Row) -> None:
        """Add a row; a shard that has its size is closed."""
        self._rows.append(row)
        self._bytes += len((row["audio"] or {}).get("bytes") or b"") + 2000
        if len(self._rows) >= _GROUP:
            self._flush()
        if self._bytes >= self._size:
            self._close()

    def finish(self) -> None:
        """Close the last shard and name them all by their number."""
        self._close()
        if not self._count:  # an empty split is an empty file, so that a reader finds all its columns
            self._flush(empty=True)
            self._close()
        for index in range(self._count):
            name = f"{self._split}-{index:05d}-of-{self._count:05d}.parquet"
            (self._folder / f"{self._split}.{index}").rename(self._folder / name)

    def _flush(self, *, empty: bool = False) -> None:
        if not self._rows and not empty:
            return
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._folder / f"{self._split}.{self._count}", self._schema)
        self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema), row_group_size=_GROUP)
        self._rows = []

    def _close(self) -> None:
        self._flush()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            self._count += 1
        self._bytes = 0.0


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    with atomic_path(path) as part:
        part.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
