"""Studies as a server: what the page mounts beside itself, and what `musiscene study serve` runs alone."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Route

from musiscene.errors import ConfigError
from musiscene.settings import Settings
from musiscene.study.bundle import DESIGN_FILE, find_bundles, load_bundle
from musiscene.study.database import Database
from musiscene.study.design import load_design
from musiscene.study.hub import Keeper, keeper_of
from musiscene.study.taking_part import Study, migrate
from musiscene.ui.study_results import results_routes
from musiscene.ui.study_routes import study_routes, text_languages


def open_studies(folders: Iterable[Path], database: Database) -> dict[str, Study]:
    """The studies in `folders`, every file of theirs compared with its hash.

    Raises:
        ConfigError: A folder has no frozen study, or one that cannot be run here.
        StorageError: The database cannot be used.
    """
    studies: dict[str, Study] = {}
    for folder in folders:
        bundles = find_bundles(folder)
        if not bundles:
            raise ConfigError(f"{folder} has no frozen study; make one with `musiscene study freeze`.")
        for path in bundles:
            study = Study(load_bundle(path), database)
            if study.design.name in studies:
                raise ConfigError(f"Two frozen studies are named {study.design.name!r}; give one another name.")
            missing = [code for code in study.design.languages if code not in text_languages()]
            if missing:
                raise ConfigError(
                    f"The page does not speak {', '.join(missing)}; it speaks {', '.join(text_languages())}. "
                    "docs/study.md says how a language is added."
                )
            studies[study.design.name] = study
    return studies


def mounted_routes(settings: Settings) -> list[Route]:
    """The addresses of this deployment's studies and of /results, for the application that serves the page.

    Raises:
        ConfigError: A study cannot be run here.
        StorageError: The database cannot be used.
    """
    if settings.studies is None and not settings.results_password:
        return []
    return _routes([settings.studies] if settings.studies else [], settings, settings.study_url)


def study_app(folders: Iterable[Path], settings: Settings, database_url: str) -> Starlette:
    """An application with the studies and /results, and nothing else (see `mounted_routes`)."""
    return Starlette(routes=_routes(folders, settings, database_url))


def _routes(folders: Iterable[Path], settings: Settings, database_url: str) -> list[Route]:
    database = Database(database_url, settings.sqlite_journal)
    keeper: Keeper | None = keeper_of(settings, database)
    if keeper is not None:
        keeper.restore()
    migrate(database)
    studies = open_studies(folders, database)
    if keeper is not None:
        keeper.start()
    return [*study_routes(studies), *results_routes(database, settings.results_password)]


def serve(folders: Sequence[Path], settings: Settings, *, database_url: str, host: str, port: int) -> None:
    """Run the studies in `folders` until interrupted; addresses are printed, none are logged.

    Raises:
        ConfigError: A study cannot be run here.
        StorageError: The database cannot be used.
    """
    import uvicorn

    app = study_app(folders, settings, database_url)
    listener = _listener(host, port)
    address = f"http://{host}:{listener.getsockname()[1]}"
    for path in folders:
        for bundle in find_bundles(path):
            print(f"{address}/study/{load_design(bundle / DESIGN_FILE).name}", flush=True)  # noqa: T201
    if settings.results_password:
        print(f"{address}/results", flush=True)  # noqa: T201
    # Access logs would keep the participants' addresses.
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])


def _listener(host: str, wanted: int) -> socket.socket:
    """A listening socket on `wanted`, or on the first free port after it."""
    for port in range(wanted, min(wanted + 50, 65_536)):
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            listener.close()
            continue
        return listener
    raise ConfigError(f"No port from {wanted} on {host} is free; choose another with --port.")
