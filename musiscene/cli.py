"""The command line: the verbs of `musiscene.api`, a line of error in place of a traceback, JSON for programs.

Exit codes: 0 done, 2 could not be done (one line on stderr says why), 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from musiscene import __version__, ask_cli, evaluate_cli, showcase_cli, study_cli, weights_cli
from musiscene.errors import MusisceneError, RequestError, explain

if TYPE_CHECKING:
    from musiscene.pipeline import Event
    from musiscene.results import Comparison, Description

KINDS = ("video", "music", "fusion", "msi")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"musiscene: {message} (see `{self.prog} --help`)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; return the exit code."""
    arguments = _parser().parse_args(argv)
    _log_to_stderr(arguments.verbose)
    try:
        run: Callable[[argparse.Namespace], int] = arguments.run
        return run(arguments)
    except KeyboardInterrupt:
        print("musiscene: stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has had enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - the one place where errors become a line
        hint = "" if isinstance(error, MusisceneError) or arguments.verbose else " (-v shows the log)"
        print(f"musiscene: {_one_line(explain(error, arguments.doing))}{hint}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="musiscene", description="Background music for video: caption, score, compare.")
    parser.add_argument("--version", action="version", version=f"musiscene {__version__}")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB", parser_class=_Parser)

    def verb(name: str, run: Callable[[argparse.Namespace], int], summary: str, doing: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=summary, description=summary)
        added.add_argument("-v", "--verbose", action="count", default=0, help="log more; twice for everything")
        added.set_defaults(run=run, doing=doing)
        return added

    added = verb("probe", _probe, "Show the facts of a media file.", "reading the file")
    added.add_argument("file", type=Path, metavar="FILE")
    _json(added)

    added = verb("caption", _caption, "Write the captions of a video or a track.", "writing the captions")
    _sources(added)
    added.add_argument("--seed", type=int, default=0, metavar="N", help="wording; the same seed, the same captions")
    _json(added)

    added = verb("score", _score, "Make a soundtrack from words.", "making the soundtrack")
    added.add_argument("text", metavar="TEXT", help="words for the music, a mood, or a scene")
    added.add_argument("--duration", type=float, default=30.0, metavar="S", help="length in seconds (default 30)")
    added.add_argument("--out", type=Path, required=True, metavar="FILE.wav")
    added.add_argument("--midi", type=Path, metavar="FILE.mid", help="save the notes too")
    added.add_argument("--melody", type=Path, metavar="TRACK", help="follow its tune (musicgen-melody, audiocraft)")
    _music(added)
    _json(added)

    added = verb("compare", _compare, "Caption a clip, make a soundtrack from each caption, put it on the clip.",
                 "comparing")  # fmt: skip
    _sources(added)
    added.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the results")
    added.add_argument("--duration", type=float, metavar="S", help="length of the music (default: the picture's)")
    added.add_argument("--takes", type=int, default=1, metavar="N", help="soundtracks per caption (default 1)")
    added.add_argument("--mix", choices=("replace", "duck", "blend"), default="replace",
                       help="what happens to the clip's own sound (default: replaced)")  # fmt: skip
    added.add_argument("--melody", action="store_true",
                       help="follow the tune of the music that is heard (musicgen-melody, audiocraft)")  # fmt: skip
    _music(added)
    _json(added)

    added = verb("ask", ask_cli.ask, "Ask something about the music of a clip.", "answering the question")
    ask_cli.add_ask(added)

    added = verb("export", ask_cli.export, "Write a plain Llama that has heard a clip, for other programs.",
                 "writing the model")  # fmt: skip
    ask_cli.add_export(added)

    added = verb("join", _join, "Join several videos into one, to score it as a whole.", "joining the videos")
    added.add_argument("files", type=Path, nargs="+", metavar="FILE")
    added.add_argument("--out", type=Path, required=True, metavar="FILE.mp4")
    _json(added)

    added = verb("doctor", _doctor, "Say what this machine can run, and what to do about what is missing.",
                 "examining this machine")  # fmt: skip
    _json(added)

    added = verb("weights", _doctor, "List, fetch, check and convert the weights of the neural backends.",
                 "handling weights")  # fmt: skip
    weights_cli.add_arguments(added)

    added = verb("study", _doctor, "Design, freeze, run and analyse listening studies.", "working on the study")
    study_cli.add_arguments(added)

    added = verb("evaluate", _doctor, "Score captions and music as the paper's tables do.", "evaluating")
    evaluate_cli.add_arguments(added)

    added = verb("showcase", showcase_cli.run, "Make a page of comparisons that opens anywhere, without a server.",
                 "making the showcase")  # fmt: skip
    showcase_cli.add_arguments(added)

    added = verb("serve", _serve, "Start the page.", "serving the page")
    added.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    added.add_argument("--port", type=int, help="port (default 7860, or the next that is free)")
    added.add_argument("--profile", help="auto, sketch … (default: MUSISCENE_PROFILE, else auto)")
    return parser


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document and nothing else")


def _sources(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="a video or a music track")
    parser.add_argument("--music", type=Path, metavar="TRACK", help="reference music in place of the file's own sound")
    parser.add_argument("--kinds", metavar="KIND,…", help=f"which captions (default: {','.join(KINDS)})")
    parser.add_argument("--profile", help="auto, sketch … (default: MUSISCENE_PROFILE, else auto)")
    parser.add_argument("--captioner", action="append", metavar="KIND=NAME", help="backend of a caption (repeatable)")
    parser.add_argument(
        "--prompt",
        action="append",
        metavar="KIND=TEXT",
        help="what a language model is asked: a template's name, or words with {video} and {music} (repeatable)",
    )


def _music(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the same words and seed, the same music")
    parser.add_argument("--generator", metavar="NAME", help="music generator (default: the profile's)")
    parser.add_argument("--section", action="append", default=[], metavar="S:TEXT", type=_section,
                        help="from second S on make the music from TEXT (musicgen); may be given again")  # fmt: skip


# -- verbs -------------------------------------------------------------------------------------------------------


def _probe(arguments: argparse.Namespace) -> int:
    from musiscene import api

    clip = api.probe(arguments.file)
    document = clip.as_dict()
    _print(document, arguments.json, "\n".join(f"{name:15} {'-' if v is None else v}" for name, v in document.items()))
    return 0


def _caption(arguments: argparse.Namespace) -> int:
    from musiscene import api

    with _Bars(arguments) as bars:
        described = api.caption(
            arguments.file,
            arguments.music,
            kinds=_kinds(arguments.kinds),
            captioners=_by_kind(arguments.captioner, "--captioner"),
            profile=arguments.profile,
            seed=arguments.seed,
            prompts=_by_kind(arguments.prompt, "--prompt"),
            watch=bars.watch,
        )
    _print(described.as_dict(), arguments.json, _captions_as_text(described))
    if described.captions:
        return 0
    raise RequestError(" ".join(dict.fromkeys(described.unavailable.values())))


def _score(arguments: argparse.Namespace) -> int:
    from musiscene import api

    with _Bars(arguments) as bars:
        made = api.score(
            arguments.text,
            out=arguments.out,
            duration_s=arguments.duration,
            seed=arguments.seed,
            midi=arguments.midi,
            generator=arguments.generator,
            overrides={"sections": arguments.section} if arguments.section else {},
            melody=arguments.melody,
            watch=bars.watch,
        )
    text = (
        f"{made.audio}  {made.duration_s:.1f} s, {made.loudness_lufs:.1f} LUFS, seed {made.seed}, {made.seconds:.1f} s"
    )
    _print(made.as_dict(), arguments.json, text + (f"\n{made.midi}" if made.midi else ""))
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    from musiscene import api
    from musiscene.pipeline import ScoreOptions
    from musiscene.types import Mix

    sections = {"sections": arguments.section} if arguments.section else {}
    options = ScoreOptions(
        duration_s=arguments.duration,
        seed=arguments.seed,
        takes=arguments.takes,
        mix=Mix(arguments.mix),
        overrides=dict.fromkeys(_kinds(arguments.kinds), sections) if sections else {},
        melody=arguments.melody,
    )
    with _Bars(arguments) as bars:
        comparison = api.compare(
            arguments.file,
            arguments.music,
            out=arguments.out,
            kinds=_kinds(arguments.kinds),
            captioners=_by_kind(arguments.captioner, "--captioner"),
            generator=arguments.generator,
            options=options,
            profile=arguments.profile,
            prompts=_by_kind(arguments.prompt, "--prompt"),
            watch=bars.watch,
        )
    _print(comparison.as_dict(), arguments.json, _comparison_as_text(comparison))
    if comparison.renditions:
        return 0
    raise RequestError(" ".join(dict.fromkeys(comparison.failed.values())))


def _join(arguments: argparse.Namespace) -> int:
    from musiscene import api, media
    from musiscene.settings import Settings

    settings = Settings.from_env()
    if arguments.out.suffix.lower() != ".mp4":
        raise RequestError(f"The joined video is an MP4: give a name that ends in .mp4, not {arguments.out.name!r}.")
    path = media.concatenate(arguments.files, arguments.out, limits=settings.limits)
    clip = api.probe(path, settings=settings)
    _print(clip.as_dict(), arguments.json, f"{path}  {clip.duration_s:.1f} s")
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from musiscene import api

    report = api.doctor()
    marks = {True: "ok", None: "--", False: "!!"}
    lines = [f"musiscene {report.version}: {report.reason}", ""]
    for check in report.checks:
        lines.append(f"{marks[check.ok]}  {check.name}: {check.detail}")
        if check.todo:
            lines.append(f"      {check.todo}")
    _print(report.as_dict(), arguments.json, "\n".join(lines))
    return 0 if report.ok else 2


def _serve(arguments: argparse.Namespace) -> int:
    from musiscene.settings import Settings
    from musiscene.ui import launch_app

    given = {name: getattr(arguments, name) for name in ("host", "port", "profile") if getattr(arguments, name)}
    launch_app(replace(Settings.from_env(), **given))
    return 0


# -- words and numbers -------------------------------------------------------------------------------------------


def _kinds(text: str | None) -> frozenset[Any]:
    from musiscene.types import CaptionKind

    if text is None:
        return frozenset(CaptionKind)
    asked = [part.strip().lower() for part in text.split(",") if part.strip()]
    unknown = [name for name in asked if name not in KINDS]
    if unknown or not asked:
        raise RequestError(f"There is no caption kind {', '.join(unknown) or text!r}. Choose from: {', '.join(KINDS)}.")
    return frozenset(CaptionKind(name) for name in asked)


def _section(text: str) -> tuple[float, str]:
    start, _, words = text.partition(":")
    try:
        begins_s = float(start)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no section: write the second, a colon and the words") from None
    if not words.strip():
        raise argparse.ArgumentTypeError(f"{text!r} has no words after the colon")
    return begins_s, words.strip()


def _by_kind(given: list[str] | None, what: str) -> dict[Any, str]:
    from musiscene.types import CaptionKind

    return ask_cli.pairs(given, what, {kind.value: kind for kind in CaptionKind})


def _captions_as_text(described: Description) -> str:
    lines = [f"{kind.value:7} {caption.text}" for kind, caption in described.captions.items()]
    lines += [f"{kind.value:7} – {reason}" for kind, reason in described.unavailable.items()]
    return "\n".join(lines)


def _comparison_as_text(comparison: Comparison) -> str:
    lines = [_captions_as_text(comparison.description), ""]
    for made in comparison.renditions:
        path = made.video or made.audio
        lines.append(f"{path}  {made.loudness_lufs:.1f} LUFS, seed {made.seed}, {made.seconds:.1f} s")
    lines += [f"{kind.value}: {reason}" for kind, reason in comparison.failed.items()]
    return "\n".join(lines)


def _print(document: Mapping[str, Any], as_json: bool, text: str) -> None:
    if as_json:
        json.dump(document, sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
        print()
    else:
        print(text)


def _one_line(message: str) -> str:
    return " ".join(message.split())


def _log_to_stderr(verbose: int) -> None:
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    if not verbose:  # a defect is told in one line; its traceback is for those who ask with -v
        for handler in logging.getLogger().handlers:
            handler.addFilter(lambda record: record.exc_info is None)


class _Bars:
    """Progress bars on a terminal, one for each stage and kind; nothing elsewhere."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._shown = sys.stderr.isatty() and not arguments.json
        self._stack = ExitStack()
        self._tasks: dict[tuple[str, frozenset[Any]], Any] = {}
        self._progress: Any = None

    def __enter__(self) -> _Bars:
        if self._shown:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (
                TextColumn("{task.description:22}"),
                BarColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
            )
            self._progress = self._stack.enter_context(Progress(*columns, console=Console(stderr=True), transient=True))
        return self

    def __exit__(self, *details: Any) -> None:
        self._stack.close()

    def watch(self, event: Event) -> None:
        """Show an event of the pipeline."""
        from musiscene.pipeline import StageProgress

        if self._progress is None or not isinstance(event, StageProgress):
            return
        key = (event.stage, event.kinds)
        if key not in self._tasks:
            title = f"{event.stage} {' '.join(sorted(event.kinds))}"
            self._tasks[key] = self._progress.add_task(title, total=1.0, note="")
        self._progress.update(self._tasks[key], completed=event.fraction, note=event.note)
