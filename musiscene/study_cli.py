"""`musiscene study`: check, freeze, power, serve, progress, analyse, export, delete, anonymise."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musiscene.errors import RequestError
from musiscene.settings import Settings
from musiscene.types import Job

if TYPE_CHECKING:
    from musiscene.study.database import Database


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of `musiscene study` to its parser."""
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION", parser_class=type(parser))

    def action(name: str, run: Callable[[argparse.Namespace], int], summary: str) -> argparse.ArgumentParser:
        added = actions.add_parser(name, help=summary, description=summary)
        added.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
        added.set_defaults(run=run)
        return added

    added = action("check", _check, "Check a design, and say what it asks of a participant.")
    added.add_argument("design", type=Path, metavar="DESIGN.toml")
    added = action("freeze", _freeze, "Copy renditions into a bundle that a study runs from, unchanging.")
    added.add_argument("design", type=Path, metavar="DESIGN.toml")
    added.add_argument(
        "--from",
        dest="folders",
        type=Path,
        nargs="+",
        required=True,
        metavar="DIR",
        help="results of `musiscene compare`, or folders with picture.mp4 and a sound for each condition",
    )
    added.add_argument("--out", type=Path, required=True, metavar="DIR", help="the bundle; must not be there yet")
    added = action("power", _power, "Simulate how many participants a design needs for a difference.")
    added.add_argument("design", type=Path, metavar="DESIGN.toml")
    words = "between the last condition and the others"
    added.add_argument("--difference", type=float, required=True, metavar="POINTS", help=words)
    words = "numbers to try (default 20,40,60,80)"
    added.add_argument("--participants", default="20,40,60,80", metavar="N,…", help=words)
    added.add_argument("--studies", type=int, default=100, metavar="N", help="simulated studies each (default 100)")
    added.add_argument("--seed", type=int, default=1, metavar="N")
    added = action("serve", _serve, "Run frozen studies alone, without the rest of the page.")
    added.add_argument("bundles", type=Path, nargs="+", metavar="BUNDLE", help="frozen studies, or folders of them")
    added.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    added.add_argument("--port", type=int, help="port (default 7860, or the next that is free)")
    _database(added)
    added = _of_study(action("analyse", _analyse, "Analyse a study: one HTML report, figures, and the numbers."))
    added.add_argument("--out", type=Path, metavar="DIR", help="folder of report.html, results.json and the figures")
    added.add_argument("--seed", type=int, default=0, metavar="N", help="of the bootstrap")
    added = _of_study(action("export", _export, "Write every rating, participant and event in long format."))
    added.add_argument("--out", type=Path, required=True, metavar="DIR")
    added.add_argument("--formats", default="csv,parquet,json", metavar="F,…", help="csv, parquet, json (default all)")
    added = _of_study(action("delete", _delete, "Delete everything about a participant."))
    added.add_argument("who", metavar="CODE", help="the code that the participant quotes, or the recruitment id")
    _of_study(action("anonymise", _anonymise, "Forget recruitment ids and resume links, and number people anew."))


def _of_study(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("name", metavar="STUDY", help="name of the study, as in its design")
    return _database(parser)


def _database(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    words = "SQLAlchemy address (default: MUSISCENE_DATABASE_URL, else study.db in the data folder)"
    parser.add_argument("--database", metavar="URL", help=words)
    return parser


def _opened(arguments: argparse.Namespace) -> Database:
    from musiscene.study.database import Database
    from musiscene.study.taking_part import migrate

    settings = Settings.from_env()
    database = Database(arguments.database or settings.study_url, settings.sqlite_journal)
    migrate(database)
    return database


def _check(arguments: argparse.Namespace) -> int:
    from musiscene.study.assignment import Cell, plan, square
    from musiscene.study.design import load_design
    from musiscene.study.squares import blocks

    design = load_design(arguments.design)
    references = [design.checks.reference] * design.item_count
    steps = plan(design, references, Cell(0, 0), 1)
    plans = blocks(design.item_count, design.per_participant)
    rows = len(square(design, references)[1])
    soundtracks = sum(len(step.slots) for step in steps)
    document: dict[str, Any] = {
        "name": design.name,
        "pages": len(steps) - 1,
        "soundtracks": soundtracks,
        "orders": rows,
        "blocks": len(plans.blocks),
        "pairs_of_items": [plans.pair_low, plans.pair_high],
        "full_balance_every": rows * len(plans.blocks),
    }
    lines = [
        f"{design.name}: the design is valid.",
        f"A participant sees {len(steps) - 1} pages with {soundtracks} soundtracks, the hidden reference counted in.",
        f"Conditions come in {rows} orders; "
        + (f"items in {len(plans.blocks)} blocks, each pair of items in {plans.pair_low} to {plans.pair_high} of them."
           if design.incomplete else "everybody sees every item."),
        f"Everything is balanced after every {rows * len(plans.blocks)} participants.",
    ]  # fmt: skip
    _print(document, arguments.json, "\n".join(lines))
    return 0


def _freeze(arguments: argparse.Namespace) -> int:
    from musiscene.mux import picture_only
    from musiscene.study.freezing import freeze

    def tell(fraction: float, words: str) -> None:
        if sys.stderr.isatty():
            print(f"\r{fraction:4.0%} {words:<50.50}", end="", file=sys.stderr, flush=True)

    bundle = freeze(
        arguments.design, arguments.folders, arguments.out, write_picture=picture_only, job=Job(report=tell)
    )
    if sys.stderr.isatty():
        print("\r" + " " * 60 + "\r", end="", file=sys.stderr)
    levels = [track.loudness_lufs for item in bundle.items for track in item.tracks.values()]
    references = sum(bundle.references)
    document = {
        "bundle": str(arguments.out),
        "sha256": bundle.sha256,
        "items": len(bundle.items),
        "practice": bundle.practice_item is not None,
        "references": references,
        "loudness_lufs": [min(levels), max(levels)],
    }
    practice = "one of them for practice" if bundle.practice_item is not None else "none is kept for practice"
    lines = [
        f"{arguments.out}: {len(bundle.items)} videos ({practice}), {len(levels)} soundtracks "
        f"at {min(levels):g} to {max(levels):g} LUFS, {references} with a hidden reference.",
        f"Run it: musiscene study serve {arguments.out}",
    ]
    _print(document, arguments.json, "\n".join(lines))
    return 0


def _power(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict

    from musiscene.study.design import load_design
    from musiscene.study.power import Power, power

    def tell(result: Power) -> None:
        if not arguments.json:
            print(
                f"{result.participants:5} participants: found in {result.found:.0%} (± {result.margin:.0%}) of "
                f"{result.studies} studies, 95 % interval {result.width:.1f} points wide",
                flush=True,
            )

    numbers = [_whole(text) for text in arguments.participants.split(",")]
    design = load_design(arguments.design)
    found = power(design, arguments.difference, numbers, studies=arguments.studies, seed=arguments.seed, tell=tell)
    if arguments.json:
        _print({"power": [asdict(result) for result in found]}, True, "")
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    from musiscene.ui.study_server import serve

    settings = Settings.from_env()
    serve(
        arguments.bundles,
        settings,
        database_url=arguments.database or settings.study_url,
        host=arguments.host or settings.host,
        port=arguments.port or settings.port,
    )
    return 0


def _analyse(arguments: argparse.Namespace) -> int:
    from musiscene.media.files import atomic_path
    from musiscene.study.analysis.frames import study_data
    from musiscene.study.analysis.plots import figures, rendered
    from musiscene.study.analysis.report import html_report
    from musiscene.study.analysis.results import analyse

    analysis = analyse(study_data(_opened(arguments), arguments.name), arguments.seed)
    document = analysis.as_dict()
    if arguments.out:
        files = {
            "report.html": html_report(analysis).encode("utf-8"),
            "results.json": (json.dumps(document, ensure_ascii=False, indent=1, default=str) + "\n").encode("utf-8"),
        }
        for name, draw in figures(analysis).items():
            files[f"{name}.svg"] = rendered(draw, "svg")
            files[f"{name}.png"] = rendered(draw, "png")
        for name, content in files.items():
            with atomic_path(arguments.out / name) as temporary:
                temporary.write_bytes(content)
        document["folder"] = str(arguments.out)
    lines = [f"{analysis.raw.participants} participants, {analysis.raw.ratings} ratings"]
    lines += [f"warning: {warning}" for warning in analysis.warnings]
    for mean in analysis.screened.means:
        interval = "" if mean.low is None else f" (95 %: {mean.low:.1f} to {mean.high:.1f})"
        lines.append(f"{mean.condition:16} {mean.mean:5.1f}{interval}, {mean.count} ratings")
    for gap in analysis.screened.differences:
        lines.append(
            f"{gap.second} - {gap.first}: {gap.estimate:+.1f} (95 %: {gap.low:.1f} to {gap.high:.1f}), "
            f"p = {gap.p_holm:.3f} (Holm), d = {gap.d:.2f}"
        )
    if arguments.out:
        lines.append(f"The report is {arguments.out / 'report.html'}")
    _print(document, arguments.json, "\n".join(lines))
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from musiscene.study.exporting import export

    written = export(_opened(arguments), arguments.name, arguments.out, arguments.formats.split(","))
    _print({"files": [str(path) for path in written]}, arguments.json, "\n".join(map(str, written)))
    return 0


def _delete(arguments: argparse.Namespace) -> int:
    from musiscene.study.exporting import delete_participant

    number = delete_participant(_opened(arguments), arguments.name, arguments.who)
    words = f"Participant {number} and all their answers are deleted. Exports and backups made before still have them."
    _print({"deleted": number}, arguments.json, words)
    return 0


def _anonymise(arguments: argparse.Namespace) -> int:
    from musiscene.study.exporting import anonymise

    count = anonymise(_opened(arguments), arguments.name)
    words = f"{count} participants have no recruitment id, no resume link and a new number. Read the text answers too."
    _print({"anonymised": count}, arguments.json, words)
    return 0


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise RequestError(f"Give whole numbers separated by commas, got {text!r}.") from None


def _print(document: dict[str, Any], as_json: bool, text: str) -> None:
    if as_json:
        print(json.dumps(document, ensure_ascii=False, indent=1, default=str))
    else:
        print(text)
