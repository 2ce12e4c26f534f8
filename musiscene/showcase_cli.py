"""`musiscene showcase`: comparisons as a folder that opens anywhere."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from musiscene.types import Job


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `musiscene showcase` takes to its parser."""
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="a comparison, or a folder of some")
    parser.add_argument("--out", type=Path, required=True, metavar="SITE", help="folder to write; SITE/index.html last")
    parser.add_argument("--title", default="", metavar="TEXT", help="heading of the page")
    parser.add_argument(
        "--language", default="", metavar="CODE", help="en, es or zh (default: what the browser asks for)"
    )
    parser.add_argument("--ratings", type=Path, metavar="FILE", help="ratings of the page: its CSV, or ratings.db")
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")


def run(arguments: argparse.Namespace) -> int:
    """Build the showcase and say where it is."""
    from musiscene.showcase import build_showcase

    shown = sys.stderr.isatty() and not arguments.json

    def report(fraction: float, note: str) -> None:
        if shown and note:
            print(f"{fraction:4.0%}  {note}", file=sys.stderr)

    made = build_showcase(
        arguments.folders,
        arguments.out,
        title=arguments.title,
        language=arguments.language,
        ratings=arguments.ratings,
        job=Job(report=report),
    )
    names = [exhibit.name for exhibit in made.exhibits]
    if arguments.json:
        print(json.dumps({"page": str(made.page), "comparisons": names, "size_bytes": made.size_bytes}, indent=2))
    else:
        word = "comparison" if len(names) == 1 else "comparisons"
        print(f"{made.page}  {len(names)} {word}, {made.size_bytes / 1e6:.1f} MB")
    return 0
