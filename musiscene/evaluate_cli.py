"""`musiscene evaluate`: captions against references, music against music, and a run's folder as the paper's tables."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musiscene.errors import RequestError, StorageError
from musiscene.settings import Settings
from musiscene.types import Job

if TYPE_CHECKING:
    from musiscene.metrics.report import Table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of `musiscene evaluate` to its parser."""
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION", parser_class=type(parser))

    def action(name: str, run: Callable[[argparse.Namespace], int], summary: str, doing: str) -> Any:
        added = actions.add_parser(name, help=summary, description=summary)
        added.add_argument("--out", type=Path, metavar="DIR", help="folder of the report (default: evaluation)")
        added.add_argument("--json", action="store_true", help="print one JSON document and nothing else")
        added.add_argument("--seed", type=int, default=0, metavar="N", help="of the resampling (default 0)")
        added.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda … (default auto)")
        added.set_defaults(run=run, doing=doing)
        return added

    added = action("captions", _captions, "Score captions against references (table 2).", "scoring the captions")
    added.add_argument("--references", type=Path, required=True, metavar="R.jsonl", help="an id and texts on each line")
    added.add_argument("--candidates", type=Path, required=True, nargs="+", metavar="C.jsonl",
                       help="one file for each system; the first is tested against the others")  # fmt: skip
    _caption_options(added)

    added = action("music", _music, "Score generated music against reference music (table 3).", "scoring the music")
    added.add_argument("--generated", type=Path, required=True, nargs="+", metavar="DIR",
                       help="folder or manifest of each system's clips")  # fmt: skip
    added.add_argument("--reference", type=Path, metavar="DIR",
                       help="folder or manifest; clips of one name are compared in pairs")  # fmt: skip
    added.add_argument("--background", type=Path, metavar="FILE.npz", help="saved statistics in place of --reference")
    added.add_argument("--save-background", type=Path, metavar="FILE.npz", help="save those of the reference")
    added.add_argument("--text", type=Path, metavar="T.jsonl", help="what each clip was made from, for the CLAP score")
    _music_options(added)

    added = action("tables", _tables, "Both tables, and picture and music together, from a run's folder.",
                   "making the tables")  # fmt: skip
    added.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="see docs/metrics.md for what it may hold")
    added.add_argument("--no-pictures", action="store_true", help="leave out picture and music together")
    _caption_options(added)
    _music_options(added)


def _caption_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--protocol", choices=("paper", "standard", "both"), default="both", help="default: both")
    parser.add_argument("--bert", type=Path, metavar="PATH", help="folder of roberta-large, for BERTScore")


def _music_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recipe", default="paper", choices=("paper", "relu", "no-overlap"),
                        help="how FAD cuts and levels the sound (default: paper)")  # fmt: skip
    parser.add_argument("--embedding", default="vggish", choices=("vggish", "clap"), help="what FAD is computed on")
    parser.add_argument(
        "--passt-seconds", type=int, default=20, choices=(10, 20, 30), help="PaSST's input (default 20)"
    )
    parser.add_argument("--vggish", type=Path, metavar="PATH", help="weights of VGGish")
    parser.add_argument("--passt", type=Path, metavar="PATH", help="weights of PaSST")
    parser.add_argument("--clap", type=Path, metavar="PATH", help="folder of CLAP")
    parser.add_argument("--store", type=Path, metavar="DIR",
                        help="keeps what was heard, to go on after a stop (default: in the data folder)")  # fmt: skip


def _protocols(arguments: argparse.Namespace) -> tuple[str, ...]:
    return ("paper", "standard") if arguments.protocol == "both" else (arguments.protocol,)


def _chosen(arguments: argparse.Namespace) -> Any:
    from musiscene.evaluation import Chosen

    return Chosen(
        vggish=getattr(arguments, "vggish", None),
        passt=getattr(arguments, "passt", None),
        passt_s=getattr(arguments, "passt_seconds", 20),
        clap=getattr(arguments, "clap", None),
        bert=getattr(arguments, "bert", None),
        device=arguments.device,
    )


def _captions(arguments: argparse.Namespace) -> int:
    from musiscene import evaluation
    from musiscene.metrics import plots, report
    from musiscene.metrics.caption_files import read_captions
    from musiscene.metrics.caption_tables import evaluate_captions

    _check_writable(_out(arguments))
    references = read_captions(arguments.references)
    systems = {name: read_captions(path) for name, path in _by_name(arguments.candidates).items()}
    bert, no_bert = evaluation.load_bert(_chosen(arguments), Settings.from_env())
    with _Bar(arguments) as job:
        table = evaluate_captions(
            references,
            systems,
            protocols=_protocols(arguments),
            bert=bert,
            no_bert=no_bert,
            seed=arguments.seed,
            job=job,
        )
    document = table.as_dict()
    _finish(arguments, "Captions", {"captions": document}, report.caption_tables(document),
            plots.caption_panels(document), table.notes, _out(arguments))  # fmt: skip
    return 0


def _music(arguments: argparse.Namespace) -> int:
    from musiscene import evaluation
    from musiscene.metrics import frechet, plots, report
    from musiscene.metrics.caption_files import read_captions
    from musiscene.metrics.music_tables import Background, evaluate_music
    from musiscene.metrics.sound_files import list_sounds

    if (arguments.reference is None) == (arguments.background is None):
        raise RequestError("Name what the music is compared with: either --reference DIR or --background FILE.npz.")
    _check_writable(_out(arguments))
    if arguments.save_background is not None:
        _check_writable(arguments.save_background.parent)
        if arguments.reference is None:
            raise RequestError("--save-background saves the statistics of --reference DIR, and there is none.")
    settings = Settings.from_env()
    systems = {name: list_sounds(path) for name, path in _by_name(arguments.generated).items()}
    if arguments.reference is not None:
        background = Background(list_sounds(arguments.reference), source=str(arguments.reference))
    else:
        gaussian, facts = frechet.load_statistics(arguments.background)
        _same_settings(arguments, facts)
        background = Background(gaussian=gaussian, source=str(arguments.background))
    texts = read_captions(arguments.text) if arguments.text else None
    networks = evaluation.load_networks(_chosen(arguments), settings)
    evaluation.need_something(networks, texts is not None)
    if arguments.save_background is not None and getattr(networks, arguments.embedding) is None:
        raise RequestError(f"There will be no statistics to save: FAD needs the weights of {arguments.embedding}.")
    scores = []
    with _Bar(arguments) as job:
        for index, (name, sounds) in enumerate(systems.items()):
            scores.append(
                evaluate_music(
                    name, sounds, background, networks, texts=texts, recipe=arguments.recipe,
                    embedding=arguments.embedding, store=_store(arguments, settings), limits=settings.limits,
                    seed=arguments.seed, job=_part(job, name, index, len(systems)),
                )
            )  # fmt: skip
    if arguments.save_background is not None:
        gaussian_found = scores[0].background
        if gaussian_found is None:
            raise RequestError("There are no statistics to save: FAD was not computed.")
        frechet.save_statistics(arguments.save_background, gaussian_found, _facts(arguments, background.source))
    documents = [one.as_dict() for one in scores]
    _finish(arguments, "Music", {"music": {"reference": background.source, "systems": documents}},
            report.music_tables(documents), plots.music_panels(documents), (), _out(arguments))  # fmt: skip
    return 0


def _tables(arguments: argparse.Namespace) -> int:
    from musiscene import evaluation

    settings = Settings.from_env()
    out = arguments.out or arguments.run_dir / "evaluation"
    _check_writable(out)
    with _Bar(arguments) as job:
        made = evaluation.make_tables(
            arguments.run_dir, _chosen(arguments), settings, protocols=_protocols(arguments), recipe=arguments.recipe,
            embedding=arguments.embedding, store=_store(arguments, settings), pictures=not arguments.no_pictures,
            seed=arguments.seed, job=job,
        )  # fmt: skip
    _finish(arguments, f"Evaluation of {arguments.run_dir.resolve().name}", made.document, made.tables, made.panels,
            made.notes, out)  # fmt: skip
    return 0


def _same_settings(arguments: argparse.Namespace, facts: Mapping[str, Any]) -> None:
    for name in ("recipe", "embedding"):
        if facts.get(name) not in (None, getattr(arguments, name)):
            raise RequestError(
                f"{arguments.background} was made with --{name} {facts[name]}, not {getattr(arguments, name)}: "
                "distances between them would mean nothing."
            )


def _facts(arguments: argparse.Namespace, source: str) -> dict[str, Any]:
    return {"recipe": arguments.recipe, "embedding": arguments.embedding, "source": source}


def _by_name(paths: Sequence[Path]) -> dict[str, Path]:
    """Systems by name: that of its file or folder, with as many of the folders above it as tell it from the others.

    Raises:
        RequestError: A file or folder is named twice.
    """
    whole = [path.resolve() for path in paths]
    for path, again in zip(paths, whole, strict=True):
        if whole.count(again) > 1:
            raise RequestError(f"{path} is named twice; name each system once.")
    parts = [(*path.parts[1:-1], path.stem if path.suffix == ".jsonl" else path.name) for path in whole]
    longest = max(map(len, parts))
    for length in range(1, longest + 1):
        names = ["/".join(part[-length:]) if _alike(part, parts) else part[-1] for part in parts]
        if len(set(names)) == len(names):
            break
    else:  # x.jsonl beside a folder x
        names = list(map(str, paths))
    return dict(zip(names, paths, strict=True))


def _alike(part: tuple[str, ...], parts: Sequence[tuple[str, ...]]) -> bool:
    return sum(other[-1] == part[-1] for other in parts) > 1


def _out(arguments: argparse.Namespace) -> Path:
    return Path(arguments.out or "evaluation")


def _check_writable(folder: Path) -> None:
    """Before hours of work rather than after them.

    Raises:
        StorageError: Nothing can be written to `folder`, or it cannot be made.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise StorageError(f"The report cannot be written to {folder}: {there} is a file. Name another folder.")
    if not os.access(there, os.W_OK):
        raise StorageError(f"The report cannot be written to {folder}: {there} is read-only. Name another folder.")


def _store(arguments: argparse.Namespace, settings: Settings) -> Path:
    return Path(arguments.store or settings.data_dir / "heard")


def _part(job: Job, name: str, index: int, count: int) -> Job:
    return Job(lambda share, note: job.report((index + share) / count, f"{name}: {note}"), job.stop)


def _finish(
    arguments: argparse.Namespace,
    title: str,
    document: Mapping[str, Any],
    tables: Sequence[Table],
    panels: Sequence[Any],
    notes: Sequence[str],
    out: Path,
) -> None:
    """Write results.json, report.md, report.html and its plots; print the tables, or the document."""
    from musiscene.metrics import plots, report

    svg = plots.draw(panels)
    shown = "Values with 95 % intervals."
    files = {"results.json": json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
             "report.md": report.as_markdown(title, tables, {"plots.svg": shown} if svg else {}, notes),
             "report.html": report.as_html(title, tables, {svg: shown} if svg else {}, notes)}  # fmt: skip
    if svg:
        files["plots.svg"] = svg
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            part = out / f"{name}.part"
            part.write_text(text, encoding="utf-8")
            part.replace(out / name)
    except OSError as error:
        raise StorageError(f"The report cannot be written to {out}: {error.strerror or error}.") from error
    if arguments.json:
        print(files["results.json"], end="")
        return
    _print_tables(tables, notes)
    print(f"\n{out / 'report.html'}")


def _print_tables(tables: Sequence[Table], notes: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 160)
    for table in tables:
        drawn = RichTable(title=Text(table.title), title_justify="left", title_style="bold")
        for index, name in enumerate(table.head):
            drawn.add_column(Text(name), justify="left" if index == 0 else "right", overflow="fold")
        for row in table.rows:
            drawn.add_row(*map(Text, row))
        console.print(drawn)
        for note in table.notes:
            console.print(Text(f"  {note}", style="dim"))
        console.print()
    for note in notes:
        console.print(Text(f"! {note}"))


class _Bar:
    """A progress bar on a terminal; nothing elsewhere."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._shown = sys.stderr.isatty() and not arguments.json
        self._progress: Any = None

    def __enter__(self) -> Job:
        if not self._shown:
            return Job()
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=Console(stderr=True), transient=True,
        )  # fmt: skip
        self._progress.start()
        task = self._progress.add_task("", total=1.0)

        def report(fraction: float, note: str) -> None:
            self._progress.update(task, completed=fraction, description=note)

        return Job(report=report)

    def __exit__(self, *details: Any) -> None:
        if self._progress is not None:
            self._progress.stop()
