"""`musiscene ask` and `musiscene export`: questions about a clip's music, and a plain Llama that has heard it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musiscene.errors import BackendUnavailableError, RequestError

if TYPE_CHECKING:
    from musiscene.registry import BackendSpec
    from musiscene.types import Clip, Job


def add_ask(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `musiscene ask`."""
    _sound(parser)
    parser.add_argument("question", metavar="QUESTION", help="in English, about what is heard")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the same question and seed, the same answer")
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")


def add_export(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `musiscene export`."""
    _sound(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")


def ask(arguments: argparse.Namespace) -> int:
    """Answer a question, word by word."""
    captioner, spec, clip = _listener(arguments)
    pieces = []
    for piece in captioner.ask(clip, arguments.question, seed=arguments.seed):
        pieces.append(piece)
        if not arguments.json:
            print(piece, end="", flush=True)
    answer = "".join(pieces).strip()
    if not answer:
        raise RequestError("There was no answer. Try another seed, or word the question differently.")
    document = {"question": arguments.question, "answer": answer, "backend": spec.name, "seed": arguments.seed}
    print(json.dumps(document, indent=2, ensure_ascii=False) if arguments.json else "")
    return 0


def export(arguments: argparse.Namespace) -> int:
    """Write a plain Llama that has heard the clip."""
    folder: Path = arguments.out.expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RequestError(f"{folder} is not an empty folder. Name another one, so that nothing is overwritten.")
    captioner, spec, clip = _listener(arguments)
    if not hasattr(captioner, "export"):
        raise BackendUnavailableError(f"{spec.name} cannot be written as a plain language model.")
    captioner.export(clip, folder, job=_job())
    files = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    text = f"{folder}  {sum(files.values()) / 1e9:.2f} GB; the template of questions is in prompt.txt"
    print(json.dumps({"folder": str(folder), "files": files}, indent=2) if arguments.json else text)
    return 0


def _sound(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="a music track, or a video with sound")


def _listener(arguments: argparse.Namespace) -> tuple[Any, BackendSpec, Clip]:
    """Who answers, loaded, and the clip.

    Raises:
        BackendUnavailableError: Nobody can answer on this machine; the message says what is lacking.
    """
    from musiscene import api
    from musiscene.backend_options import backend_options
    from musiscene.registry import Pool, discover
    from musiscene.settings import Settings

    settings = Settings.from_env()
    clip = api.probe(arguments.file, settings=settings)
    pool = Pool(options=backend_options(settings))
    specs = [spec for spec in discover("captions") if spec.answers]
    reasons = [pool.why_unavailable(spec) for spec in specs]
    for spec, reason in zip(specs, reasons, strict=True):
        if reason is None:
            return pool.captioner(spec), spec, clip
    raise BackendUnavailableError(" ".join(filter(None, reasons)) or "No captioner here answers questions.")


def _job() -> Job:
    from musiscene.types import Job

    if not sys.stderr.isatty():
        return Job()

    def report(fraction: float, note: str) -> None:
        print(f"\r{fraction:4.0%} {note[:60]:60}", end="\n" if fraction >= 1 else "", file=sys.stderr, flush=True)

    return Job(report=report)


def pairs(given: list[str] | None, what: str, kinds: Mapping[str, Any]) -> dict[Any, str]:
    """`KIND=VALUE` arguments as a dictionary.

    Raises:
        RequestError: One is not of that form, or names no kind of caption.
    """
    found = {}
    for text in given or ():
        kind, equals, value = text.partition("=")
        if not equals or kind.strip().lower() not in kinds or not value.strip():
            raise RequestError(f"Write {what} as KIND=VALUE with a KIND of {', '.join(kinds)}, not {text!r}.")
        found[kinds[kind.strip().lower()]] = value.strip()
    return found
