"""A private PostgreSQL server; shared by tests and benchmarks."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa


@contextmanager
def private_postgres(*, durable: bool = False) -> Iterator[str]:
    """The address of a server on a temporary folder and a loopback port; `durable` waits for the disk as a real one."""
    initdb, server = _postgres_program("initdb"), _postgres_program("postgres")
    if initdb is None or server is None:
        raise RuntimeError("PostgreSQL is missing: `apt-get install postgresql` (the tests start a private server).")
    identity = _as_postgres_allows()
    folder = Path(tempfile.mkdtemp(prefix="ratings-pg-"))
    try:
        if identity:
            os.chown(folder, int(str(identity["user"])), int(str(identity["group"])))
        data = folder / "data"
        run = {**identity, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        subprocess.run([initdb, "-D", data, "-U", "rater", "-A", "trust", "-E", "UTF8", "--no-sync"], check=True, **run)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = [
            "-D",
            data,
            "-p",
            str(port),
            "-k",
            folder,
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            f"fsync={'on' if durable else 'off'}",
        ]
        process = subprocess.Popen([server, *options], **{**run, "stderr": subprocess.DEVNULL})
        url = f"postgresql+psycopg://rater@127.0.0.1:{port}/postgres"
        try:
            for _ in range(200):
                try:
                    engine = sa.create_engine(url)
                    engine.connect().close()
                    engine.dispose()
                    break
                except sa.exc.OperationalError:
                    threading.Event().wait(0.1)
            yield url
        finally:
            process.send_signal(signal.SIGINT)  # does not wait for connections that somebody left open
            process.wait(timeout=20)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_program(name: str) -> str | None:
    found = shutil.which(name)
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return found or (str(versions[0]) if versions else None)


def _as_postgres_allows() -> dict[str, object]:
    """PostgreSQL refuses to run as root: then its files and processes belong to an unprivileged user."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": ()}
    raise RuntimeError("PostgreSQL needs a user that is not root, and there is neither 'postgres' nor 'nobody'.")
