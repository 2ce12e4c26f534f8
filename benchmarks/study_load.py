"""Two hundred participants at once, and a server that is killed: is every acknowledged rating there, exactly once?

    python benchmarks/study_load.py [--participants 200] [--kills 0 20] [--think 4] [--databases sqlite postgresql]

Starts the server (and a private PostgreSQL) on loopback, lets simulated participants go through a whole study with a
pause at every page, kills the server with SIGKILL again and again, and compares what was acknowledged with what is in
the database. Prints percentiles of the time to save, and the processors' time that a save costs, and ends by itself.
A save that was sent once met no kill; one that met a kill is sent again until it is acknowledged, and its time runs
from the first sending, the restart included.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import sqlalchemy as sa

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "study")]

from private_postgres import private_postgres  # noqa: E402
from small_study import small_bundle  # noqa: E402

from musiscene.study.bundle import Bundle  # noqa: E402
from musiscene.study.schema import ratings, steps  # noqa: E402
from musiscene.study.simulated import answer_page  # noqa: E402


@dataclass
class Log:
    """What the participants saw."""

    once: list[float] = field(default_factory=list)
    """Seconds of each save that was acknowledged when it was first sent."""
    again: list[float] = field(default_factory=list)
    """Seconds of the others, from the first sending."""
    acknowledged: dict[str, dict[str, float]] = field(default_factory=dict)
    """Public id of a page -> the values that were acknowledged."""
    failures: int = 0
    finished: int = 0
    errors: list[str] = field(default_factory=list)


class Server:
    """`musiscene study serve` as a process that can be killed."""

    def __init__(self, bundle: Path, url: str, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._command = [sys.executable, "-m", "musiscene", "study", "serve", str(bundle), "--database", url,
                         "--port", str(self.port)]  # fmt: skip
        self._environment = {**os.environ, "MUSISCENE_DATA_DIR": str(folder)}
        self._process: subprocess.Popen[bytes] | None = None
        self.cpu_s = 0.0
        """Processors' time of those that were killed."""

    def start(self) -> None:
        """Start and wait for the first answer."""
        self._process = subprocess.Popen(
            self._command, env=self._environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(6000):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self._process.poll() is not None:
                raise RuntimeError("The server did not start.")
            time.sleep(0.05)
        raise RuntimeError("The server did not answer within five minutes.")

    def kill(self) -> None:
        """SIGKILL: no handler runs, nothing is flushed."""
        if self._process is not None:
            self.cpu_s += cpu_seconds(self._process.pid)
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()


def cpu_seconds(pid: int) -> float:
    """Processors' time of a process, of its children that are running, and of those that it has waited for (Linux)."""
    ticks = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(folder.name) == pid or int(fields[1]) == pid:
            ticks += sum(int(value) for value in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def postgres_pid(url: str) -> int | None:
    """The process of the private PostgreSQL, None for SQLite."""
    if url.startswith("sqlite"):
        return None
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        folder = connection.execute(sa.text("SHOW data_directory")).scalar_one()
    engine.dispose()
    return int((Path(folder) / "postmaster.pid").read_text().splitlines()[0])


def percentiles(seconds: list[float]) -> str:
    """Median, 95 % and 99 % in milliseconds."""
    if not seconds:
        return "none"
    p50, p95, p99 = (1000 * float(np.quantile(seconds, q)) for q in (0.5, 0.95, 0.99))
    return f"{len(seconds)}: p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms"


async def participant(client: httpx.AsyncClient, base: str, bundle: Bundle, think_s: float, log: Log) -> None:
    """Go through the study, sending everything until it is acknowledged."""
    token = secrets.token_urlsafe(24)
    chance = random.Random(token)
    await asyncio.sleep(chance.uniform(0, think_s))
    view = await until_answered(client, f"{base}/enter", {"token": token, "language": "en"}, log)
    while view["step"]["kind"] != "end":
        await asyncio.sleep(chance.uniform(0.25, 1.75) * think_s)
        step = view["step"]
        answer = answer_page(
            view, bundle.design, float(chance.randint(0, 100)) if step["kind"] != "instructed" else None
        )
        events = [{"id": f"{token[:8]}-{step['number']}-{n}", "kind": "play", "at_s": n, "slot": 0} for n in range(12)]
        save = {"token": token, "step": step["id"], "save_id": secrets.token_hex(8), "answer": answer, "events": events}
        view = await until_answered(client, f"{base}/save", save, log, timed=True)
        given = {rating["slot"]: rating["value"] for rating in answer.get("ratings", [])}
        log.acknowledged[step["id"]] = given
    log.finished += 1


async def until_answered(
    client: httpx.AsyncClient, url: str, body: dict[str, object], log: Log, *, timed: bool = False
) -> dict[str, dict[str, object]]:
    """Post until there is an answer, waiting in between as the page's script does."""
    started, sent = time.perf_counter(), 0
    while True:
        sent += 1
        try:
            response = await client.post(url, json=body)
        except httpx.HTTPError:
            log.failures += 1
            await asyncio.sleep(min(8.0, 0.4 * 2.0 ** (sent - 1)))
            continue
        if response.status_code == 200:
            if timed:
                (log.once if sent == 1 else log.again).append(time.perf_counter() - started)
            return response.json()
        if response.status_code < 500:
            log.errors.append(response.text)
            raise RuntimeError(response.text)
        log.failures += 1
        await asyncio.sleep(min(8.0, 0.4 * 2.0 ** (sent - 1)))


async def run(bundle: Bundle, server: Server, people: int, kills: int, think_s: float) -> Log:
    """Everybody at once, and the killing beside them."""
    log = Log()
    base = f"http://127.0.0.1:{server.port}/study/{bundle.design.name}/api"
    limits = httpx.Limits(max_connections=people, max_keepalive_connections=people)
    async with httpx.AsyncClient(timeout=60, limits=limits) as client:
        everybody = asyncio.gather(*(participant(client, base, bundle, think_s, log) for _ in range(people)))
        killed = 0
        while not everybody.done():
            await asyncio.sleep(random.uniform(2.0, 4.0))
            if killed < kills and not everybody.done():
                await asyncio.to_thread(server.kill)
                killed += 1
                await asyncio.to_thread(server.start)
        await everybody
    log.errors += [f"killed {killed} times only"] if killed < kills else []
    return log


def compare(url: str, log: Log) -> str:
    """Whether what was acknowledged and what is stored are the same."""
    engine = sa.create_engine(url)
    from musiscene.study.schema import stimuli

    with engine.connect() as connection:
        rows = connection.execute(
            sa.select(steps.c.public_id, stimuli.c.public_id.label("slot"), ratings.c.value)
            .join(steps, steps.c.id == ratings.c.step_id)
            .join(stimuli, stimuli.c.id == ratings.c.stimulus_id)
        ).all()
    engine.dispose()
    stored: dict[tuple[str, str], list[float]] = {}
    for page, slot, value in rows:
        stored.setdefault((page, slot), []).append(value)
    wanted = {(page, slot): value for page, given in log.acknowledged.items() for slot, value in given.items()}
    lost = [key for key, value in wanted.items() if stored.get(key) != [value]]
    extra = [key for key in stored if key not in wanted]
    return f"{len(wanted)} acknowledged ratings, {len(lost)} lost or changed or doubled, {len(extra)} not acknowledged"


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """An empty database."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'study.db'}"
        return
    with private_postgres(durable=True) as url:
        yield url


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--participants", type=int, default=200)
    parser.add_argument("--kills", type=int, nargs="*", default=[0, 20], help="a run for each number")
    parser.add_argument("--think", type=float, default=4.0, help="mean seconds on a page; real pages take a minute")
    parser.add_argument("--databases", nargs="*", default=["sqlite", "postgresql"])
    arguments = parser.parse_args()
    for kind in arguments.databases:
        for kills in arguments.kills:
            folder = Path(tempfile.mkdtemp(prefix="study-load-"))
            try:
                bundle = small_bundle(folder / "frozen", items=8)
                with database(kind, folder) as url:
                    server = Server(folder / "frozen", url, folder)
                    server.start()
                    started, own = time.perf_counter(), time.process_time()
                    try:
                        log = asyncio.run(run(bundle, server, arguments.participants, kills, arguments.think))
                    finally:
                        server.kill()
                    seconds, own = time.perf_counter() - started, time.process_time() - own
                    postgres = postgres_pid(url)
                    stored = cpu_seconds(postgres) if postgres else 0.0
                    found = compare(url, log)
                saves = len(log.once) + len(log.again)
                print(
                    f"{kind}, {arguments.participants} participants, {kills} kills: {log.finished} finished in "
                    f"{seconds:.0f} s, {saves} saves ({saves / seconds:.0f} a second)\n"
                    f"  sent once {percentiles(log.once)}; sent again {percentiles(log.again)}\n"
                    f"  processors' time a save: server {1000 * server.cpu_s / saves:.1f} ms (its starts included), "
                    f"database {1000 * stored / saves:.1f} ms, participants {1000 * own / saves:.1f} ms\n"
                    f"  {log.failures} sendings failed; {found}; {len(log.errors)} errors {log.errors[:2]}",
                    flush=True,
                )
            finally:
                shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
