"""Running chunks through the stages: in this process, in several, or on Ray. All give the same rows."""

from __future__ import annotations

import logging
import os
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

from musiscene.errors import BackendUnavailableError, MusisceneError
from train.dataset.config import Actors, Dataset
from train.dataset.parts import Parts
from train.dataset.sources import Row
from train.dataset.stages import Stage, home, make_stage, make_stages, needed
from train.failures import TrainingError

_LOG = logging.getLogger(__name__)

Tell = Callable[[int, int], None]
"""Is told how many rows a finished chunk has, and how many of them failed."""


def run_local(todo: Mapping[int, Sequence[Row]], config: Dataset, parts: Parts, tell: Tell) -> None:
    """Work on chunks in `config.work.processes` processes.

    Raises:
        BackendUnavailableError: A captioner cannot be loaded.
        StorageError: The disk refused; finished chunks are kept.
    """
    if config.work.processes == 1:
        stages = make_stages(config)
        for chunk, rows in todo.items():
            tell(*_work(stages, parts, chunk, rows))
        return
    context = get_context("spawn")
    waiting: set[Future[tuple[int, int]]] = set()
    remaining = iter(todo.items())
    with ProcessPoolExecutor(config.work.processes, context, _begin, (config, parts)) as pool:
        try:
            while True:
                for chunk, rows in remaining:
                    waiting.add(pool.submit(_work_here, chunk, rows))
                    if len(waiting) >= 2 * config.work.processes:  # not all rows at once into the pipe
                        break
                if not waiting:
                    return
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    tell(*future.result())
        except BrokenProcessPool as error:
            raise TrainingError(
                "A worker was ended from outside, most likely because memory ran out: lower work.processes and run "
                "again. Finished clips are kept."
            ) from error
        finally:
            for future in waiting:
                future.cancel()


def run_ray(todo: Mapping[int, Sequence[Row]], config: Dataset, parts: Parts, tell: Tell) -> None:
    """Work on chunks with Ray Data: one pool of actors per stage, streaming, with back-pressure.

    Chunks, not rows, travel: what is finished together stays together, and a part has the same name and content as
    with the local engine.

    Raises:
        BackendUnavailableError: Ray is not installed, or a captioner cannot be loaded.
        StorageError: The disk refused; finished chunks are kept.
    """
    try:
        import ray
        from ray.data import ActorPoolStrategy, DataContext
    except ImportError as error:
        raise BackendUnavailableError("--engine ray needs Ray: run `pip install 'musiscene[ray]'`.") from error
    chosen = config.ray
    started = not ray.is_initialized()
    if started:
        env = {"PYTHONPATH": os.pathsep.join([str(home()), *filter(None, sys.path)]), **chosen.env}
        address: dict[str, Any] = {"address": chosen.address}
        if not chosen.address:
            address = {"address": "local", "include_dashboard": False}  # not one that runs here
            if chosen.num_cpus:
                address["num_cpus"] = chosen.num_cpus
        ray.init(runtime_env={"env_vars": env}, log_to_driver=False, logging_level=logging.WARNING, **address)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    if chosen.object_store_gb:
        limits = context.execution_options.resource_limits
        context.execution_options.resource_limits = limits.copy(object_store_memory=chosen.object_store_gb * 1e9)
    try:
        items = [{"chunk": chunk, "rows": pickle.dumps(list(rows))} for chunk, rows in todo.items()]
        data: Any = ray.data.from_items(items, override_num_blocks=len(items))
        names = needed(config)
        for name in names:
            actors = chosen.stages.get(name, Actors())
            data = data.map_batches(
                RayStage,
                fn_constructor_args=(name, config, parts if name == names[-1] else None),
                batch_size=1,
                compute=ActorPoolStrategy(
                    min_size=actors.min,
                    max_size=max(actors.min, actors.max),
                    max_tasks_in_flight_per_actor=chosen.in_flight,
                ),
                num_cpus=actors.num_cpus,
                num_gpus=actors.num_gpus,
            )
        for batch in data.iter_batches(batch_size=1, prefetch_batches=0):
            tell(int(batch["count"][0]), int(batch["failed"][0]))
    except ray.exceptions.RayError as error:
        cause = _cause(error)
        if cause is None:
            raise
        raise cause from error
    finally:
        if started:
            ray.shutdown()


class RayStage:
    """A stage as an actor: it loads its model once. The last one gets `parts` and writes what is finished."""

    def __init__(self, name: str, config: Dataset, parts: Parts | None) -> None:
        self._stage = make_stage(name, config)
        self._parts = parts

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """One chunk through the stage: the chunk, or how many of its rows there are and how many failed."""
        (chunk,), (content,) = batch["chunk"], batch["rows"]
        rows = self._stage(pickle.loads(content))
        if self._parts is None:
            return {"chunk": batch["chunk"], "rows": _column([pickle.dumps(rows)])}
        count, failed = _written(self._parts, int(chunk), rows)
        return {"count": [count], "failed": [failed]}


def _column(values: Sequence[bytes]) -> Any:
    import numpy as np

    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _cause(error: BaseException) -> MusisceneError | None:
    """The error of ours inside one of Ray's."""
    seen: BaseException | None = error
    for _ in range(10):
        if isinstance(seen, MusisceneError):
            return seen
        seen = getattr(seen, "cause", None) or (seen.__cause__ if seen is not None else None)
    return None


_HERE: dict[str, Any] = {}
"""Of a worker process, which belongs to one run: its stages and where its parts go."""


def _begin(config: Dataset, parts: Parts) -> None:
    _HERE["stages"], _HERE["parts"] = make_stages(config), parts


def _work_here(chunk: int, rows: Sequence[Row]) -> tuple[int, int]:
    return _work(_HERE["stages"], _HERE["parts"], chunk, rows)


def _work(stages: Sequence[tuple[str, Stage]], parts: Parts, chunk: int, rows: Sequence[Row]) -> tuple[int, int]:
    done = list(rows)
    for _, stage in stages:
        done = stage(done)
    return _written(parts, chunk, done)


def _written(parts: Parts, chunk: int, rows: Sequence[Row]) -> tuple[int, int]:
    """Keep a finished chunk; how many rows it has, and how many of them failed."""
    parts.write(chunk, rows)
    return len(rows), sum(bool(row.get("error")) for row in rows)
