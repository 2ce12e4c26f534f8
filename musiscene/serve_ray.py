"""Backends for pages on other machines, on Ray Serve: `python -m musiscene.serve_ray CONFIG.toml` (docs/scaling.md)."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import logging
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from musiscene import __version__
from musiscene.backend_options import backend_options
from musiscene.errors import BackendUnavailableError, ConfigError, MusisceneError
from musiscene.remote.catalogue import key_digest
from musiscene.remote.frames import PROTOCOL
from musiscene.serving.config import Served, Serving, read_serving
from musiscene.settings import Settings

APPLICATION = "musiscene"

_DOOR_HOLDS = 200
"""Requests that one door holds at once; it waits for others and computes nothing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m musiscene.serve_ray", description="Backends for pages on other machines, on Ray Serve."
    )
    parser.add_argument("config", type=Path, metavar="CONFIG.toml", help="what to serve: docs/scaling.md")
    parser.add_argument("--check", action="store_true", help="only say whether the file is right, and what it serves")
    given = parser.parse_args(arguments)
    settings = Settings.from_env()
    logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    try:
        serving = read_serving(given.config)
        keys = _keys(serving, settings)
        if not serving.ray.address:  # else the weights are on other machines, which say it themselves
            _check_backends(serving, settings)
        if given.check:
            _say("\n".join(_summary(serving)))
            return 0
        stop = threading.Event()
        with serve(serving, keys) as address:
            for number in (signal.SIGINT, signal.SIGTERM):  # now, since Ray has put its own in their place
                signal.signal(number, lambda *_: stop.set())
            _say(f"Serving {len(serving.backends)} backends at {address}")
            while not stop.wait(1.0):
                pass
    except MusisceneError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - a command line
        return 2
    return 0


@contextmanager
def serve(serving: Serving, keys: Sequence[str]) -> Iterator[str]:
    """Start everything on Ray; yields the address, and takes it down at the end of the block.

    Raises:
        BackendUnavailableError: Ray is not installed, or a backend cannot be loaded.
        ConfigError: The port is taken.
    """
    try:
        import ray
        from ray import serve as ray_serve
    except ImportError as error:
        raise BackendUnavailableError("Serving needs Ray: run `pip install 'musiscene[ray]'`.") from error
    if not serving.ray.address:
        _check_port(serving)
    _start_ray(serving)
    try:
        ray_serve.start(
            proxy_location="EveryNode" if serving.ray.address else "HeadOnly",
            http_options={"host": serving.host, "port": serving.port},
            logging_config={"log_level": "WARNING", "enable_access_log": False},
        )
        try:
            ray_serve.run(application(serving, keys), name=APPLICATION, route_prefix="/")
        except RuntimeError as error:
            raise BackendUnavailableError(_why_not_started(error)) from error
        yield f"http://{serving.host}:{serving.port}"
    finally:
        with contextlib.suppress(Exception):  # a cluster that is gone needs no taking down
            if serving.ray.address:
                ray_serve.delete(APPLICATION)
            else:
                ray_serve.shutdown()
        ray.shutdown()


def application(serving: Serving, keys: Sequence[str]) -> Any:
    """The Ray Serve application: a door, and a deployment for each backend."""
    from ray import serve as ray_serve

    from musiscene.serving.door import Door, House
    from musiscene.serving.replica import Model

    deployment: Any = ray_serve.deployment
    rooms = {
        served.label: deployment(Model, name=served.label, **_deployment_options(served)).bind(served)
        for served in serving.backends
    }
    house = House(
        catalogue=catalogue(serving),
        digests=tuple(key_digest(key) for key in keys),
        max_upload_bytes=serving.max_upload_mb * 1_000_000,
        limits_s={served.label: served.time_limit_s for served in serving.backends},
    )
    door = deployment(
        Door,
        name="door",
        num_replicas=serving.doors,
        max_ongoing_requests=_DOOR_HOLDS,
        max_queued_requests=_DOOR_HOLDS,
        ray_actor_options={"num_cpus": 0.1},
    )
    return door.bind(house, **rooms)


def catalogue(serving: Serving) -> dict[str, Any]:
    """What is served, JSON-ready: what a page is told."""
    return {
        "protocol": PROTOCOL,
        "server": serving.name,
        "version": __version__,
        "max_upload_bytes": serving.max_upload_mb * 1_000_000,
        "backends": [
            {
                "stage": served.stage,
                "name": served.name,
                "kinds": sorted(spec.produces),
                "license": spec.license,
                "repo_id": spec.repo_id,
                "revision": spec.revision,
                "summary": spec.summary,
                "time_limit_s": served.time_limit_s,
            }
            for served in serving.backends
            for spec in served.specs()
        ],
    }


def _deployment_options(served: Served) -> dict[str, Any]:
    options: dict[str, Any] = {
        "max_ongoing_requests": served.at_work,
        "max_queued_requests": served.queued or -1,
        "ray_actor_options": {"num_cpus": served.cpus, "num_gpus": served.gpus},
        "health_check_period_s": 5.0,
        "graceful_shutdown_timeout_s": 5.0,
    }
    if served.most_replicas > served.replicas:
        options["autoscaling_config"] = {
            "min_replicas": served.replicas,
            "max_replicas": served.most_replicas,
            "target_ongoing_requests": served.batch * served.at_once,
        }
    else:
        options["num_replicas"] = served.replicas
    return options


def _start_ray(serving: Serving) -> None:
    import ray

    chosen = serving.ray
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # The replicas import musiscene from where this process does, installed or in a checkout.
    paths = [str(Path(__file__).resolve().parent.parent), *filter(None, sys.path)]
    env = {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), **chosen.env}
    here: dict[str, Any] = {"address": chosen.address}
    if not chosen.address:
        here = {"address": "local", "include_dashboard": False}  # else it would join one that happens to run here
        if chosen.cpus:
            here["num_cpus"] = chosen.cpus
        if chosen.gpus >= 0:
            here["num_gpus"] = chosen.gpus
        if chosen.object_store_mb:
            here["object_store_memory"] = chosen.object_store_mb * 1_000_000
    try:
        ray.init(
            runtime_env={"env_vars": chosen.env if chosen.address else env},
            log_to_driver=False,
            logging_level=logging.WARNING,
            **here,
        )
    except (ConnectionError, ValueError) as error:
        raise BackendUnavailableError(f"Ray cannot be started or reached: {error}") from error


def _keys(serving: Serving, settings: Settings) -> list[str]:
    """The keys that are taken.

    Raises:
        ConfigError: There are none, and others can reach this machine.
    """
    keys = [key for each in settings.backend_key.split(",") if (key := each.strip())]
    if not keys and not _is_loopback(serving.host):
        raise ConfigError(
            f"Whoever reaches {serving.host} could use this machine: set MUSISCENE_BACKEND_KEY to a long random "
            "text, here and on the pages' machines."
        )
    return keys


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_backends(serving: Serving, settings: Settings) -> None:
    """Say before anything is started what is missing.

    Raises:
        BackendUnavailableError: A backend cannot run here.
    """
    options = backend_options(replace(settings, backend_url=""))
    for served in serving.backends:
        given = {**options.get(served.name, {}), **served.options}
        for spec in served.specs():
            reason = spec.why_not_here(given)
            if reason:
                raise BackendUnavailableError(f"[{served.stage}.{served.name}] cannot run here: {reason}")


def _check_port(serving: Serving) -> None:
    with socket.socket(socket.AF_INET6 if ":" in serving.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((serving.host, serving.port))
        except OSError as error:
            raise ConfigError(
                f"Port {serving.port} of {serving.host} cannot be used ({error.strerror}): choose another."
            ) from error


def _why_not_started(error: RuntimeError) -> str:
    """The sentence in Ray's report of a replica that failed."""
    found = re.findall(r"musiscene\.errors\.\w+: (.+)", str(error))
    return f"A backend could not be started: {found[-1] if found else str(error).strip()}"


def _summary(serving: Serving) -> Iterator[str]:
    yield f"{serving.name}, at {serving.host}:{serving.port}, uploads of up to {serving.max_upload_mb} MB"
    for served in serving.backends:
        replicas = f"{served.replicas} to {served.most_replicas}" if served.most_replicas else str(served.replicas)
        yield (
            f"{served.stage}.{served.name}: {replicas} x ({served.cpus:g} CPU, {served.gpus:g} GPU), "
            f"batches of {served.batch}, {served.queued} may wait, {served.time_limit_s:g} s a request"
        )


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what was asked for


if __name__ == "__main__":
    sys.exit(main())
