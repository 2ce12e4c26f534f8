"""Tables as rows of text: the same rows for the terminal, Markdown and HTML, the paper's numbers beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from musiscene.metrics import paper, plots
from musiscene.metrics.caption_tables import NAMES
from musiscene.palette import ACCENTS

_LONG = 60
"""Characters of a cell that may be broken into lines."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table to be read.

    Attributes:
        title: What it shows.
        head: Names of the columns.
        rows: Texts, as many as there are columns.
        notes: What is to be known about it.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def number(value: Any, digits: int = 3) -> str:
    """A number for a table; a dash for none."""
    return "–" if value is None else f"{value:z.{digits}f}".replace("-", "−")


def with_interval(found: Mapping[str, Any] | None, digits: int = 3) -> str:
    """A value and its 95 % interval."""
    if found is None or found.get("value") is None:
        return "–"
    if found.get("low") is None:
        return number(found["value"], digits)
    return f"{number(found['value'], digits)} [{number(found['low'], digits)}, {number(found['high'], digits)}]"


def p_value(p: float | None) -> str:
    """A p-value as papers write it."""
    return "–" if p is None else "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def caption_tables(document: Mapping[str, Any]) -> list[Table]:
    """The tables of `CaptionTable.as_dict`."""
    tables = []
    protocols = list(document["definitions"])
    for protocol in protocols:
        metrics = [m for m in NAMES if any(m in s["protocols"].get(protocol, {}) for s in document["systems"])]
        rows = [
            (s["system"], str(s["n"]), *(with_interval(s["protocols"][protocol].get(m)) for m in metrics))
            for s in document["systems"]
        ]
        notes = [f"{NAMES[m]}: {document['definitions'][protocol][m]}." for m in metrics]
        if protocol == "paper":
            for name, values in paper.CAPTIONS.items():
                rows.append((name, "–", *(number(values.get(m)) for m in metrics)))
            notes.append(paper.CAPTIONS_UNKNOWN)
        if "bertscore" in metrics:
            notes.append(f"BERTScore checkpoint: {document['bertscore_checkpoint']}.")
        if protocol == "standard" and document["sacrebleu_signature"]:
            notes.append(f"sacreBLEU: {document['sacrebleu_signature']}.")
        tables.append(
            Table(f"Captions, {protocol} protocol", ("System", "n", *(NAMES[m] for m in metrics)), tuple(rows),
                  (*notes, "In brackets: 95 % bootstrap interval over clips."))
        )  # fmt: skip
    columns = {
        "scene_share": "Of a scene", "distinct_1": "Distinct-1", "distinct_2": "Distinct-2", "self_bleu": "Self-BLEU",
        "unique_share": "Said once", "mean_words": "Words",
    }  # fmt: skip
    rows = [
        (s["system"], str(s["n"]), *(number(s["variety"][c], 1 if c == "mean_words" else 3) for c in columns))
        for s in document["systems"]
    ]
    tables.append(Table("Captions, what they say and how varied they are", ("System", "n", *columns.values()),
                        tuple(rows)))  # fmt: skip
    for comparison in document["comparisons"]:
        metrics = [m for m in NAMES if any(m in found for found in comparison["protocols"].values())]
        rows = [
            (NAMES[m], *(_difference(comparison["protocols"].get(p, {}).get(m)) for p in protocols)) for m in metrics
        ]
        tables.append(
            Table(
                f"{comparison['first']} minus {comparison['second']}",
                ("Metric", *(f"{p} protocol" for p in protocols)),
                tuple(rows),
                ("Paired over clips: 95 % bootstrap interval; p by approximate randomisation, adjusted for the number "
                 "of metrics (Holm).",),
            )
        )  # fmt: skip
    return tables


def _difference(found: Mapping[str, Any] | None) -> str:
    return "–" if found is None else f"{with_interval(found)}, {p_value(found['p_holm'])}"


def music_tables(systems: Sequence[Mapping[str, Any]]) -> list[Table]:
    """The table of several `MusicScores.as_dict`, with the paper's values where a system is one of its conditions."""
    rows = []
    notes: list[str] = []
    known = False
    common = [note for note in systems[0]["notes"] if all(note in s["notes"] for s in systems)]
    for s in systems:
        fad, kl, clap = s.get("fad"), s.get("kl"), s.get("clap")
        row = [
            s["system"], with_interval(fad, 2), f"{fad['n']} / {fad['n_reference']}" if fad else "–",
            *(with_interval(kl[d] if kl else None, 2) for d in ("kl", "kl_reverse", "kl_both")),
            f"{kl['kl']['n']} / {kl['segments']}" if kl else "–", with_interval(clap), str(clap["n"]) if clap else "–",
        ]  # fmt: skip
        printed = paper.MUSIC.get(s["system"])
        known = known or printed is not None
        row += [number(printed["fad"], 2), number(printed["kl"], 2)] if printed else ["–", "–"]
        rows.append(tuple(row))
        notes += [f"{s['system']}: {note}" for note in s["notes"] if note not in common]
    notes = [*common, *notes]
    first = next((s for s in systems if s.get("fad") or s.get("kl")), systems[0])
    if first.get("fad"):
        notes.append(f"FAD: squared, on {first['fad']['embedding']}, recipe {first['fad']['recipe']!r}; "
                     "n: windows of the generated and the reference music; interval by a jackknife over groups of "
                     "clips.")  # fmt: skip
    if first.get("kl"):
        notes.append(f"KL: softmax over 527 classes of PaSST for {first['kl']['model_s']} s; KL is "
                     "KL(reference ‖ generated), reverse the other direction. n: pairs and segments; bootstrap "
                     "interval over pairs.")  # fmt: skip
    notes += [f"{name}: {source}." for name, source in first["checkpoints"].items()]
    if known:
        notes.append(f"Last columns: {paper.SOURCE}. {paper.MUSIC_UNKNOWN}")
    if len({s["fad"]["n"] for s in systems if s.get("fad")}) > 1:
        notes.append("FAD falls with n: these systems have different n, so their distances cannot be compared.")
    head = ("System", "FAD", "n", "KL", "KL reverse", "KL both", "n", "CLAP score", "n", "FAD (paper)", "KL (paper)")
    return [Table("Music", head, tuple(rows), tuple(dict.fromkeys(notes))), *_files(systems)]


def _files(systems: Sequence[Mapping[str, Any]]) -> list[Table]:
    rows = tuple((s["system"], f["metric"] or "all", f["reason"], f["path"]) for s in systems for f in s["skipped"])
    tables = [Table("Files that could not be used", ("System", "Metric", "Why", "File"), rows)] if rows else []
    remarked = dict.fromkeys((f["remark"], f["path"]) for s in systems for f in s["remarks"])
    if remarked:
        tables.append(Table("Files that were scored and are not whole", ("What is wrong", "File"), tuple(remarked)))
    return tables


def picture_tables(document: Mapping[str, Any]) -> list[Table]:
    """The table of `evaluation.evaluate_pictures`."""
    rows = []
    for s in document["systems"]:
        rhythm, energy = s["rhythm_to_cut"], s["energy_to_motion"]
        rows.append(
            (s["system"], str(s["clips"]), with_interval(rhythm, 2), number(rhythm["chance"] if rhythm else None, 2),
             p_value(rhythm["p"] if rhythm else None), str(rhythm["cuts"]) if rhythm else "–",
             with_interval(energy, 2), str(energy["n"]) if energy else "–")
        )  # fmt: skip
    if not rows:
        return []
    notes = (
        "Cuts on a beat: share of cuts within 80 ms of a beat, of the clips that have both; chance: share of the time "
        "that is within 80 ms of a beat.",
        "Energy and motion: mean over clips of Spearman's correlation in steps of 0.5 s.",
    )
    head = ("System", "clips", "Cuts on a beat", "chance", "p", "cuts", "Energy and motion", "n")
    return [Table("Picture and music", head, tuple(rows), notes)]


def as_markdown(title: str, tables: Sequence[Table], plots: Mapping[str, str], notes: Sequence[str]) -> str:
    """A Markdown document; `plots` maps a file name beside it to what it shows."""
    parts = [f"# {title}", ""]
    for note in notes:
        parts += [f"> {note}", ""]
    for table in tables:
        parts += [f"## {table.title}", "", _markdown_row(table.head), _markdown_row(["---"] * len(table.head))]
        parts += [_markdown_row(row) for row in table.rows]
        parts.append("")
        parts += [f"- {note}" for note in table.notes]
        parts.append("")
    parts += [f"![{shown}]({file})\n" for file, shown in plots.items()]
    return "\n".join(parts).rstrip() + "\n"


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def as_html(title: str, tables: Sequence[Table], plots: Mapping[str, str], notes: Sequence[str]) -> str:
    """One HTML file without anything beside it; `plots` maps SVG text to what it shows."""
    body = [f"<h1>{escape(title)}</h1>", *(f"<p class=note>{escape(note)}</p>" for note in notes)]
    for table in tables:
        head = "".join(f"<th scope=col>{escape(cell)}</th>" for cell in table.head)
        rows = "".join(
            f"<tr><th scope=row>{escape(row[0])}</th>" + "".join(_cell(c) for c in row[1:]) + "</tr>"
            for row in table.rows
        )
        body.append(f"<h2>{escape(table.title)}</h2><div class=wide><table><thead><tr>{head}</tr></thead>"
                    f"<tbody>{rows}</tbody></table></div>")  # fmt: skip
        if table.notes:
            body.append("<ul>" + "".join(f"<li>{escape(note)}</li>" for note in table.notes) + "</ul>")
    for svg, shown in plots.items():
        body.append(f"<figure>{_themed(svg)}<figcaption>{escape(shown)}</figcaption></figure>")
    light, dark = (" ".join(f"--{name}: {colours[at]};" for name, colours in _COLOURS.items()) for at in (0, 1))
    return _PAGE.format(title=escape(title), body="\n".join(body), light=light, dark=dark)


def _cell(text: str) -> str:
    kind = " class=long" if len(text) > _LONG else ""
    value, bracket, interval = text.partition(" [")
    if bracket and not kind:  # below its value, so that wide tables fit
        return f"<td>{escape(value)} <small>[{escape(interval)}</small></td>"
    return f"<td{kind}>{escape(text)}</td>"


def _themed(svg: str) -> str:
    """A drawing whose colours follow the page's."""
    for name, (light, _) in _COLOURS.items():
        svg = svg.replace(f": {light}", f": var(--{name})")
    return svg


_COLOURS = {
    "paper": ("#ffffff", "#16181d"),
    "ink": (plots.INK, "#eceef1"),
    "faint": (plots.FAINT, "#a3a9b4"),
    "line": (plots.LINE, "#333c49"),
    **{kind.value: (accent.light, accent.dark) for kind, accent in ACCENTS.items()},
}
"""Name -> colour in the light and the dark theme."""


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; {light} }}
@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: var(--ink);
  background: var(--paper); }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.15rem; margin-top: 2.2rem; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .35rem .65rem; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }}
th, td {{ white-space: nowrap; }}
td small {{ display: block; color: var(--faint); }}
.long {{ white-space: normal; min-width: 20rem; }}
thead th {{ border-bottom: 2px solid var(--faint); white-space: nowrap; }} tbody th {{ font-weight: 600; }}
ul, .note, figcaption {{ color: var(--faint); font-size: .9rem; max-width: 60rem; overflow-wrap: anywhere; }}
figure {{ margin: 2rem 0; }} figure svg {{ max-width: 100%; height: auto; }}
</style>
<body>
{body}
</body></html>
"""
