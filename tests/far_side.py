"""What a process on the other side does in `test_zerogpu.py`; a file of its own, so that a spawned process finds it."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from contextlib import closing
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from musiscene.crossing import Message, Work, serve
from musiscene.pipeline import Pipeline
from musiscene.registry import Pool
from musiscene.settings import Settings

PRELOADED = [__name__, "musiscene.networks.mert", "transformers.models.musicgen.modeling_musicgen"]


def work_there(connection: Connection, settings: Settings, options: Mapping[str, Any], sent: bytes) -> None:
    """Load what is needed, do the work, send every message as bytes until nobody reads them."""
    import torch

    torch.set_num_threads(1)
    work: Work = pickle.loads(sent)
    with closing(serve(Pipeline(settings, Pool(options)), work)) as messages:  # type: ignore[type-var]
        for message in messages:
            try:
                connection.send_bytes(pickle.dumps(message))
            except (BrokenPipeError, ConnectionResetError):
                return
    connection.send_bytes(b"")


class Spawned:
    """A `Call` that starts a new process, which inherits nothing of this one; what takes long to import is there."""

    def __init__(self, settings: Settings, options: Mapping[str, Any]) -> None:
        self._settings, self._options = settings, options
        self.calls: list[Work] = []
        self.bytes: list[bytes] = []
        self.left_alive = 0

    def __call__(self, work: Work) -> Iterator[Message]:
        self.calls.append(work)
        context = get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        ours, theirs = context.Pipe()
        arguments = (theirs, self._settings, self._options, pickle.dumps(work))
        process = context.Process(target=work_there, args=arguments)
        process.start()
        theirs.close()
        try:
            while data := ours.recv_bytes():
                self.bytes.append(data)
                yield pickle.loads(data)
        finally:
            ours.close()
            process.join(20)
            self.left_alive += process.is_alive()
