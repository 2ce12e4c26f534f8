"""One HTML page that stands alone: what was asked, of whom, what came out, and what to doubt."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from musiscene.study.analysis.models import Difference
from musiscene.study.analysis.plots import balance_words, figures, rendered
from musiscene.study.analysis.results import Analysis, Statements, planned_means
from musiscene.study.design import TrialType

_STYLE = """
body{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;color:#1c1b22;background:#fff;
max-width:58rem;margin:2rem auto;padding:0 1.2rem}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.2rem;margin-top:2.2rem;border-bottom:1px solid #ddd}
h3{font-size:1rem;margin-bottom:.3rem}
table{border-collapse:collapse;margin:.6rem 0 1rem;font-variant-numeric:tabular-nums}
caption{text-align:left;color:#56545f;padding-bottom:.3rem}
th,td{padding:.25rem .7rem;text-align:right;border-bottom:1px solid #e4e3ea}
th:first-child,td:first-child{text-align:left}thead th{border-bottom:1.5px solid #555}
.wide{overflow-x:auto}td{white-space:nowrap}
.words table{min-width:44rem}.words th,.words td{text-align:left;vertical-align:top;white-space:normal}
.warning{background:#fff4e5;border-left:4px solid #b45309;padding:.5rem .8rem;margin:.5rem 0}
.quiet{color:#56545f}svg{max-width:100%;height:auto}
figure{margin:1rem 0}figcaption{color:#56545f;font-size:.92rem}
@media print{body{max-width:none}h2{break-after:avoid}figure,table{break-inside:avoid}}
"""


def html_report(analysis: Analysis) -> str:
    """The report; no other file and no network is needed to read it."""
    design = analysis.design
    title = next(iter(design.title.values()))
    parts = [
        f"<h1>{_e(title)}</h1>",
        f'<p class="quiet">Study {_e(design.name)} · {_kind(design.trial)} · {len(design.conditions)} conditions · '
        f"{design.item_count} videos, {design.per_participant} for each participant · seed {design.seed}</p>",
        *(f'<p class="warning">{_e(warning)}</p>' for warning in analysis.warnings),
        _progress(analysis),
        _means(analysis),
        _paper(analysis),
        _differences(analysis),
        _model(analysis),
        _ranks(analysis),
        _reliability(analysis),
        _screening(analysis),
        _balance(analysis),
        _methods(analysis),
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_e(title)}: results</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _progress(analysis: Analysis) -> str:
    progress = analysis.progress
    target = f" of {progress.target} planned" if progress.target else ""
    compared = analysis.balance[[name for name in analysis.design.conditions if name in analysis.balance]]
    return (
        "<h2>Participants</h2>"
        f"<p>{progress.arrived} opened the study, {progress.declined} declined, {progress.consented} consented, "
        f"{progress.finished}{target} finished. {len(analysis.screening.excluded)} are left out of the screened "
        f"analysis. {analysis.raw.ratings} ratings; {balance_words(compared)}.</p>"
    )


def _means(analysis: Analysis) -> str:
    rows = []
    screened = {mean.condition: mean for mean in analysis.screened.means}
    for mean in analysis.raw.means:
        other = screened.get(mean.condition)
        rows.append(
            [
                mean.condition,
                mean.count,
                _n(mean.mean),
                _interval(mean.low, mean.high),
                _n(mean.sd),
                _n(mean.median),
                other.count if other else 0,
                _n(other.mean) if other else "–",
                _interval(other.low, other.high) if other else "–",
            ]
        )
    head = ["condition", "n", "mean", "95 %", "SD", "median", "n, screened", "mean, screened", "95 %, screened"]
    table = _table(head, rows, "Ratings, 0 to 100; intervals by a bootstrap over participants and videos.")
    drawn = figures(analysis)
    return (
        "<h2>Means</h2>"
        + table
        + _figure(drawn, "means", "Means with 95 % intervals; each dot is one participant's mean.")
        + _figure(drawn, "items", "Mean of every video.")
        + _figure(drawn, "distribution", "How the scale was used.")
    )


def _paper(analysis: Analysis) -> str:
    """Published tables beside ours; the numbers are the researcher's, in `[paper]` of the design."""
    tables = analysis.design.paper
    if not tables:
        return (
            "<h2>Beside the paper</h2><p>MusiScene (arXiv 2507.05894) reports its two forms in tables 4 and 5. Their "
            "values are not part of this design; add them as <code>[paper.table4]</code> and "
            "<code>[paper.table5]</code> with one line a condition, and they stand here beside ours.</p>"
        )
    ours = {mean.condition: mean for mean in analysis.raw.means}
    parts = ["<h2>Beside the paper</h2>"]
    for name, table in tables.items():
        if not isinstance(table, dict):
            continue
        rows = []
        for condition, value in planned_means(table).items():
            mean = ours.get(condition)
            inside = "–"
            if mean is not None and mean.low is not None and mean.high is not None:
                inside = "inside" if mean.low <= value <= mean.high else "outside"
            mine = [_n(mean.mean), _interval(mean.low, mean.high)] if mean else ["–", "–"]
            rows.append([condition, _n(value), *mine, inside])
        caption = str(table.get("title", name))
        parts.append(_table(["condition", "paper", "ours", "95 %", "paper is"], rows, caption))
    return "".join(parts)


def _differences(analysis: Analysis) -> str:
    parts = ["<h2>Differences</h2>"]
    for label, statements in _both(analysis):
        if not statements.differences:
            parts.append(f"<p>{label}: too few people or videos for a mixed model.</p>")
            continue
        head = ["pair", "n", "difference", "95 %", "t", "df", "p", "p (Holm)", "d", "d<sub>z</sub>"]
        parts.append(_table(head, [_difference_row(gap) for gap in statements.differences], label, raw_head=True))
    parts.append(_figure(figures(analysis), "differences", "Differences of the mixed models, after screening."))
    return "".join(parts)


def _difference_row(gap: Difference) -> list[object]:
    t = gap.estimate / gap.se if gap.se else math.nan
    return [
        f"{gap.second} − {gap.first}",
        gap.count,
        _n(gap.estimate),
        _interval(gap.low, gap.high),
        _n(t, 2),
        _n(gap.df, 1),
        _p(gap.p),
        _p(gap.p_holm),
        _n(gap.d, 2),
        _n(gap.dz, 2),
    ]


def _model(analysis: Analysis) -> str:
    parts = ["<h2>Mixed model of all ratings</h2>"]
    for label, statements in _both(analysis):
        model = statements.omnibus
        if model is None:
            parts.append(f"<p>{label}: not fitted (a paired comparison, or too little data).</p>")
            continue
        total = sum(model.variances.values()) or 1.0
        rows = [[name, _n(value), f"{100 * value / total:.0f} %"] for name, value in model.variances.items()]
        slopes = "" if model.slopes else " Slopes were left out of this model for its size; the differences have them."
        doubt = "" if model.converged else " The fit did not converge."
        parts.append(
            f"<p>{label}: conditions differ with χ²({model.df}) = {_n(model.statistic, 2)}, "
            f"p {_p(model.p, words=True)}."
            f"{slopes}{doubt}</p>" + _table(["source of variance", "variance", "share"], rows, "")
        )
    return "".join(parts)


def _ranks(analysis: Analysis) -> str:
    parts = ["<h2>Without a normal distribution</h2>"]
    for label, statements in _both(analysis):
        test = statements.friedman
        if test is not None:
            parts.append(
                f"<p>{label}: Friedman χ² = {_n(test.statistic, 2)}, p {_p(test.p, words=True)}, "
                f"Kendall's W = {_n(test.kendall_w, 2)}, {test.participants} participants.</p>"
            )
        rows = [
            [
                f"{one.second} − {one.first}",
                one.participants,
                _n(one.statistic),
                _p(one.p),
                _p(one.p_holm),
                _n(one.rank_biserial, 2),
            ]
            for one in statements.signed_ranks
        ]
        if rows:
            head = ["pair", "participants", "W", "p", "p (Holm)", "rank-biserial r"]
            parts.append(_table(head, rows, f"{label}: Wilcoxon signed-rank tests of the participants' means."))
    return "".join(parts)


def _reliability(analysis: Analysis) -> str:
    found = analysis.raw.reliability
    if found is None:
        return "<h2>Reliability</h2><p>No item was rated twice by enough people.</p>"
    return (
        f"<h2>Reliability</h2><p>{found.pairs} soundtracks were rated twice by {found.participants} participants: "
        f"ICC(A,1) = {_n(found.icc, 2)}, Spearman ρ = {_n(found.spearman, 2)}, "
        f"mean absolute difference {_n(found.mean_gap)} points.</p>"
    )


def _screening(analysis: Analysis) -> str:
    rows = []
    for rule in analysis.screening.rules:
        people = "; ".join(f"{person}: {what}" for person, what in sorted(rule.found.items())) or "nobody"
        rows.append([rule.name, rule.source, "excludes" if rule.applied else "reports", people, rule.note])
    table = _table(["rule", "source", "", "participants", "note"], rows, "No rating was deleted from the data.")
    return f'<h2>Screening</h2><div class="words">{table}</div>'


def _balance(analysis: Analysis) -> str:
    table = analysis.balance
    rows = [[str(item), *(int(value) for value in table.loc[item])] for item in table.index]
    made = _table(["video", *map(str, table.columns)], rows, "How many ratings each soundtrack has.")
    return f'<h2>Balance</h2><div class="wide">{made}</div>'


def _methods(analysis: Analysis) -> str:
    trial = analysis.design.trial
    return (
        "<h2>Methods</h2><p>Conditions were presented in the orders of Williams squares (1949), videos in an order "
        "drawn for each participant, blocks and orders least-tested-first. Participants rated "
        + ("pairs of soundtracks" if trial is TrialType.PAIR else "soundtracks from 0 (bad) to 100 (excellent)")
        + " of videos with pictures, since the relation of sound and picture is what was asked (BS.1534-3 asks for "
        "sound alone elsewhere). Intervals of means are expanded percentiles of a bootstrap over participants and "
        "items (Owen 2007; Hesterberg 2015). Differences are linear mixed models of the differences within a "
        "participant and video, with participant and item as crossed random effects (REML), Satterthwaite degrees of "
        "freedom, and Holm's correction. Practice, instructed and repeated pages are in none of the means.</p>"
    )


def _both(analysis: Analysis) -> Iterable[tuple[str, Statements]]:
    yield "All participants", analysis.raw
    if analysis.screened is not analysis.raw:
        yield "After screening", analysis.screened


def _figure(drawn: Mapping[str, Callable[[], Any]], name: str, caption: str) -> str:
    if name not in drawn:
        return ""
    svg = rendered(drawn[name], "svg").decode("utf-8")
    # Ids of two drawings in one page must not meet.
    for prefix in ('id="', "url(#", 'xlink:href="#'):
        svg = svg.replace(prefix, f"{prefix}{name}-")
    drawing = svg[svg.index("<svg") :]
    label = html.escape(caption, quote=True)
    drawing = drawing.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
    return f"<figure>{drawing}<figcaption>{_e(caption)}</figcaption></figure>"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]], caption: str, *, raw_head: bool = False) -> str:
    titles = "".join(f'<th scope="col">{title if raw_head else _e(title)}</th>' for title in head)
    body = "".join("<tr>" + "".join(f"<td>{_e(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    told = f"<caption>{_e(caption)}</caption>" if caption else ""
    return f'<div class="wide"><table>{told}<thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>'


def _kind(trial: TrialType) -> str:
    words = {TrialType.RATING: "several soundtracks a page", TrialType.PAIR: "paired comparison"}
    return words.get(trial, "one soundtrack a page")


def _e(text: str) -> str:
    return html.escape(text)


def _n(value: float | None, digits: int = 1) -> str:
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}f}".replace("-", "−")


def _p(value: float, *, words: bool = False) -> str:
    if value < 0.001:
        return "< 0.001"
    return f"= {value:.3f}" if words else f"{value:.3f}"


def _interval(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{_n(low)} to {_n(high)}"
