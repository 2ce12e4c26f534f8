"""Talking to the process in audiocraft's environment."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from musiscene.errors import BackendUnavailableError, Stopped

_log = logging.getLogger(__name__)

_GRACE_S = 3.0
"""How long a stopped worker may take before it is ended."""


class OutOfMemory(Exception):
    """What was asked for did not fit."""


class WorkerProcess:
    """A running worker; one order at a time.

    Args:
        python: Interpreter of audiocraft's environment.
        environment: Variables for it, beside our own.
    """

    def __init__(self, python: Path, environment: dict[str, str] | None = None) -> None:
        worker = Path(__file__).with_name("worker.py")
        self._last_words: list[str] = []
        self._ended = False
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        try:
            self._process = subprocess.Popen(
                [str(python), "-W", "ignore", str(worker)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, **(environment or {})},
            )
        except OSError as error:
            raise BackendUnavailableError(f"audiocraft's Python {python} does not start: {error}.") from error
        for work in (self._listen, self._keep_words):
            threading.Thread(target=work, daemon=True, name="musiscene-audiocraft").start()

    @property
    def alive(self) -> bool:
        """Whether it still runs. What has closed its output is ending, even while the system still counts it."""
        return not self._ended and self._process.poll() is None

    def ask(
        self,
        order: dict[str, Any],
        check: Callable[[], None],
        progress: Callable[[int, int, int, int], None],
        heard: Callable[[Sequence[tuple[int, str]], int], None] = lambda pieces, begin: None,
    ) -> dict[str, Any]:
        """Give an order and wait for its answer.

        Args:
            order: As the worker documents them.
            check: Called ten times a second; when it raises `Stopped`, the worker is stopped.
            progress: Told (groups done, groups in all, steps of this group done, steps of it in all).

            heard: Told of pieces of sound: (request, name of its file) for each, and at which sample they begin.

        Raises:
            Stopped: By `check` or `progress`.
            OutOfMemory: It did not fit into memory.
            BackendUnavailableError: The worker failed, or ended; the message says how.
        """
        try:
            self._send(order)
            while True:
                check()
                try:
                    answer = self._answers.get(timeout=0.1)
                except queue.Empty:
                    if self.alive or not self._answers.empty():
                        continue
                    answer = None
                if answer is not None and "progress" in answer:
                    progress(*answer["progress"])
                    continue
                if answer is not None and "heard" in answer:
                    heard(answer["heard"], answer["from"])
                    continue
                return self._checked(answer)
        except Stopped:
            self._stop()
            raise

    def _checked(self, answer: dict[str, Any] | None) -> dict[str, Any]:
        if answer is None:
            self.close()
            words = self._last_words[-1] if self._last_words else "it said nothing"
            raise BackendUnavailableError(f"audiocraft's process ended while it worked: {words}")
        kind, message = answer.get("error"), answer.get("message", "")
        if kind == "memory":
            raise OutOfMemory(message)
        if kind == "weights":
            raise BackendUnavailableError(f"audiocraft cannot load these weights. {message}")
        if kind:
            raise BackendUnavailableError(f"audiocraft could not make this music. {message}")
        return answer

    def close(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_GRACE_S)

    def _send(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        except OSError:
            self._answers.put(None)

    def _stop(self) -> None:
        """Stop at its next step; end it if it takes long (while weights are loaded, say)."""
        self._send({"do": "stop"})
        with contextlib.suppress(queue.Empty):
            while True:
                answer = self._answers.get(timeout=_GRACE_S)
                if answer is None or not {"progress", "heard"} & answer.keys():
                    return
        self.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                self._answers.put(json.loads(line))
            except ValueError:
                _log.debug("audiocraft: %s", line.rstrip())
        self._ended = True
        self._answers.put(None)

    def _keep_words(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if line.strip():
                _log.debug("audiocraft: %s", line.rstrip())
                self._last_words = [*self._last_words[-20:], line.strip()]
