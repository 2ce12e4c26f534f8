"""Build a training set: `python -m train.build_dataset CONFIG.toml [--engine ray]`.

Work that was ended goes on with the same command. See docs/training.md.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from musiscene.media import atomic_path
from train.dataset.assemble import Report, assemble
from train.dataset.config import Dataset
from train.dataset.engines import run_local, run_ray
from train.dataset.parts import Parts, chunks
from train.dataset.sources import read_rows
from train.dataset.stages import check_backends, describe
from train.failures import run_main
from train.toml_files import read_config

_LOG = logging.getLogger(__name__)
ENGINES = {"local": run_local, "ray": run_ray}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="train.build_dataset", description="Build a training set.")
    parser.add_argument("config", type=Path, help="a TOML file; train/configs has some")
    parser.add_argument("--engine", choices=sorted(ENGINES), default="local")
    parser.add_argument("--fresh", action="store_true", help="forget what was done in this folder before")
    parser.add_argument("--retry-failed", action="store_true", help="do clips again that failed")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    config = read_config(given.config, Dataset)
    report = build(config, engine=given.engine, fresh=given.fresh, retry_failed=given.retry_failed)
    with atomic_path(config.out / "dataset.toml") as part:
        shutil.copyfile(given.config, part)
    left = ", ".join(f"{count} {reason}" for reason, count in report.left_out.items()) or "none"
    print(f"{config.out}: " + ", ".join(f"{n} {name}" for name, n in report.splits.items()) + f"; left out: {left}")
    return 0


def build(config: Dataset, *, engine: str = "local", fresh: bool = False, retry_failed: bool = False) -> Report:
    """Build a dataset, going on where earlier work was ended.

    Args:
        config: What is built.
        engine: "local" or "ray".
        fresh: Forget earlier work.
        retry_failed: Do chunks again in which a clip failed.

    Raises:
        MusisceneError: It cannot be built; finished clips are kept.
    """
    check_backends(config)
    parts = Parts(config.out / "parts")
    if fresh:
        shutil.rmtree(parts.folder, ignore_errors=True)
    rows = read_rows(config)
    parts.begin(describe(config), len(rows))
    if retry_failed:
        _LOG.info("%d chunks with failed clips are done again", parts.forget_failed())
    planned = chunks(rows, config.work.chunk)
    done = parts.done()
    todo = {index: chunk for index, chunk in enumerate(planned) if index not in done}
    finished = len(rows) - sum(map(len, todo.values()))
    _LOG.info("%d clips, %d of them finished before", len(rows), finished)
    if todo:
        _run(todo, config, parts, engine, len(rows), finished)
    return assemble(config, parts)


def _run(todo: dict[int, list], config: Dataset, parts: Parts, engine: str, total: int, finished: int) -> None:  # type: ignore[type-arg]
    began, before, failures = time.monotonic(), finished, 0

    def tell(count: int, failed: int) -> None:
        nonlocal finished, failures
        finished, failures = finished + count, failures + failed
        rate = (finished - before) / max(time.monotonic() - began, 1e-9)
        _LOG.info(
            "%d of %d clips, %.1f a second, about %.0f s to go%s",
            finished,
            total,
            rate,
            (total - finished) / max(rate, 1e-9),
            f"; {failures} failed" if failures else "",
        )

    ENGINES[engine](todo, config, parts, tell)


if __name__ == "__main__":
    sys.exit(run_main(main))
