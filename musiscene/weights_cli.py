"""`musiscene weights`: what is published, what is here, fetching, checking, converting."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from musiscene.errors import BackendUnavailableError
from musiscene.published import PRECISIONS
from musiscene.settings import Settings
from musiscene.types import Job


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of `musiscene weights` to its parser."""
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION", parser_class=type(parser))

    def action(name: str, run: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=summary, description=summary)
        added.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
        added.set_defaults(run=run)
        return added

    action("list", _list, "Every weight of the project: where it is published, its licence, and what is here.")
    added = action("download", _download, "Fetch some weights; goes on where an earlier attempt stopped.")
    added.add_argument("name", metavar="NAME")
    added.add_argument("--url", default="", help="a mirror of a single file, in place of the published address")
    added.add_argument("--sha256", default="", help="what that file must be")
    added.add_argument("--update", action="store_true", help="move on from the commit that was fetched the first time")
    added = action("verify", _verify, "Read every file again and compare it with what arrived.")
    added.add_argument("name", metavar="NAME", nargs="?", help="one of them (default: all that are here)")
    added = action("convert", _convert, "Bring weights once into the form that starts quickly.")
    added.add_argument("name", metavar="NAME")
    added.add_argument("--dtype", default=PRECISIONS[0], choices=PRECISIONS)
    added = action("use", _use, "Take weights that lie elsewhere on this machine; they are not copied.")
    added.add_argument("name", metavar="NAME")
    added.add_argument("path", type=Path, metavar="PATH")


def _folder() -> Path:
    return Settings.from_env().data_dir / "weights"


def _list(arguments: argparse.Namespace) -> int:
    from musiscene import weights

    found = [status.as_dict() for status in weights.list_all(_folder())]
    lines = []
    for status in found:
        gated = ", gated" if status["gated"] else ""
        size = f"{status['size_gb']:g} GB" if status["size_gb"] else "size unknown"
        lines.append(f"{'ok' if status['here'] else '--'}  {status['name']}: {size}, {status['license']}{gated}")
        lines.append(f"      {status['path'] or status['next_step']}")
    _print({"weights": found}, arguments.json, "\n".join(lines))
    return 0


def _download(arguments: argparse.Namespace) -> int:
    from musiscene import weights

    published = weights.entry(arguments.name)
    print(f"{published.name}: licence {published.license}", file=sys.stderr)
    path = weights.download(
        arguments.name,
        folder=_folder(),
        url=arguments.url,
        sha256=arguments.sha256,
        update=arguments.update,
        job=_job(),
    )
    commit = weights.status(arguments.name, _folder()).commit
    if commit:
        print(f"{published.name}: commit {commit}", file=sys.stderr)
    _print({"name": arguments.name, "path": str(path), "commit": commit}, arguments.json, str(path))
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from musiscene import weights

    names = [arguments.name] if arguments.name else [s.weights.name for s in weights.list_all(_folder()) if s.path]
    results = [weights.verify(name, folder=_folder(), job=_job()) for name in names]
    lines = []
    for r in results:
        origin = f", commit {r.commit}" if r.commit else ""
        lines.append(f"{r.name}: {'; '.join(r.problems) or f'{len(r.checked)} files are as they came{origin}'}")
    document = {
        "verified": [{"name": r.name, "ok": r.ok, "commit": r.commit, "problems": list(r.problems)} for r in results]
    }
    _print(document, arguments.json, "\n".join(lines) or "There are no weights here.")
    broken = [result.name for result in results if not result.ok]
    if broken:
        step = "Download them again, or name another copy with `musiscene weights use`."
        raise BackendUnavailableError(f"Not as they should be: {', '.join(broken)}. {step}")
    return 0


def _convert(arguments: argparse.Namespace) -> int:
    from musiscene import weights

    path = weights.convert(arguments.name, folder=_folder(), dtype=arguments.dtype, job=_job())
    _print({"name": arguments.name, "path": str(path)}, arguments.json, str(path))
    return 0


def _use(arguments: argparse.Namespace) -> int:
    from musiscene import weights

    path = weights.use(arguments.name, arguments.path, _folder())
    _print({"name": arguments.name, "path": str(path)}, arguments.json, str(path))
    return 0


def _job() -> Job:
    if not sys.stderr.isatty():
        return Job()

    def report(fraction: float, note: str) -> None:
        end = "\n" if fraction >= 1 else ""
        print(f"\r{fraction:4.0%} {note[:60]:60}", end=end, file=sys.stderr, flush=True)

    return Job(report=report)


def _print(document: dict[str, Any], as_json: bool, text: str) -> None:
    print(json.dumps(document, indent=2, ensure_ascii=False) if as_json else text)
