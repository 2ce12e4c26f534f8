"""What the browser is told of the captions; `view` says what holds of all that leaves the server."""

from __future__ import annotations

from typing import Any

from musiscene.captions._language.brief import reading_limit, shorten
from musiscene.registry import BackendSpec
from musiscene.soundtracks._musicgen import TEXT_TOKENS
from musiscene.types import Caption, CaptionKind
from musiscene.ui import view
from musiscene.ui.brief_form import brief_form
from musiscene.ui.comparison import Comparison
from musiscene.ui.texts import ENGLISH, Texts, duration_words, fill
from musiscene.ui.view import View

READ_BY_T5 = frozenset({"musicgen", "audiocraft"})
"""Music generators whose text encoder reads a bounded number of tokens; the arranger reads every word."""


def captions_view(
    comparison: Comparison | None,
    person: str,
    texts: Texts = ENGLISH,
    painter: tuple[BackendSpec | None, str] = (None, ""),
) -> View:
    """The four cards.

    Args:
        comparison: What is described; None before there is anything.
        person: Who looks.
        texts: In which language.
        painter: Who can imagine a scene from the picture of a silent clip, and what it lacks.
    """
    if comparison is None:
        return {
            "token": "",
            "version": 0,
            "hidden": False,
            "cards": {kind.value: {"state": "empty"} for kind in CaptionKind},
        }
    if not comparison.revealed_to(person):
        return {"token": comparison.token, "version": comparison.version, "hidden": True, "cards": {}}
    cards = {kind.value: _card(comparison, kind, texts, painter) for kind in CaptionKind}
    return {"token": comparison.token, "version": comparison.version, "hidden": False, "cards": cards}


def _card(comparison: Comparison, kind: CaptionKind, texts: Texts, painter: tuple[BackendSpec | None, str]) -> View:
    if kind in comparison.writing:
        waiting = comparison.work.phase == "waiting"
        return {
            "state": "waiting" if waiting else "working",
            "fraction": round(comparison.writing[kind], 2),
            "partial": comparison.partial.get(kind, ""),
        }
    caption = comparison.captions.get(kind)
    if caption is None:
        reason = comparison.unavailable.get(kind)
        if not reason:
            return {"state": "empty"}
        return {"state": "unavailable", "reason": reason, "imagine": _imagine(comparison, kind, painter)}
    written = comparison.written.get(kind, caption)
    plot = f"{view.PLOT_ROUTE}/{comparison.token}/{kind.value}"
    return {
        "state": "ready",
        "text": caption.text,
        "written": written.text,
        "backend": caption.backend,
        "edited": caption.backend == "edited",
        "by": written.backend,
        "seconds": duration_words(round(written.seconds, 1), texts) if written.seconds >= 0.05 else "",
        "evidence": evidence_rows(written.evidence),
        "plot": {"light": f"{plot}.light.svg", "dark": f"{plot}.dark.svg"} if written.evidence else None,
        "brief": comparison.briefs.get(kind, {}),
        "form": _form(comparison, caption.text, texts),
        "reading": reading(caption, written, str(comparison.options.get("engine", ""))),
        "moments": view.windows(comparison) if kind is CaptionKind.VIDEO else [],
        "moments_seen": _moments_seen(written, texts),
    }


def _form(comparison: Comparison, text: str, texts: Texts) -> View | None:
    if comparison.options.get("engine") != "sketch":
        return None
    labels = {name.removeprefix("brief_"): words for name, words in texts.items() if name.startswith("brief_")}
    return brief_form(text, labels)


def _imagine(comparison: Comparison, kind: CaptionKind, painter: tuple[BackendSpec | None, str]) -> View | None:
    """The offer of a scene from the picture, where there is nothing to hear but something to see."""
    spec, lacks = painter
    if kind is not CaptionKind.MSI or spec is None or not comparison.clip.has_video:
        return None
    if comparison.sources.sound is not None:
        return None
    return {"ready": not lacks, "lacks": lacks, "by": spec.name}


def reading(caption: Caption, written: Caption, engine: str) -> View | None:
    """How much of a caption the music generator reads, and a brief in its place; None when all of it is read well.

    Characters are counted; `until` is where it begins to weigh less, `cut` where nothing more is read.
    """
    if engine not in READ_BY_T5:
        return None
    if caption.evidence.get("text_is") == "music brief":
        return {"used": True}
    until = reading_limit(caption.text)
    if until is None:
        return None
    stored = written.evidence.get("music_brief") if caption.text == written.text else None
    brief = str(stored or shorten(caption.text))
    return {
        "used": False,
        "until": until,
        "cut": reading_limit(caption.text, TEXT_TOKENS),
        "brief": brief,
        "words": len(brief.split()),
    }


def _moments_seen(written: Caption, texts: Texts) -> str:
    seen, total = written.evidence.get("windows_seen"), written.evidence.get("windows_in_clip")
    if not isinstance(seen, int) or not isinstance(total, int) or seen >= total:
        return ""
    return fill(texts["moments_seen"], seen=seen, total=total)


def evidence_rows(evidence: Any) -> list[list[str]]:
    """Measured values as pairs of a name and a value in words; long series are left to the plot."""
    rows: list[list[str]] = []
    for name, value in dict(evidence).items():
        if value is None or name.endswith("_id"):
            continue
        if isinstance(value, (dict, list, tuple)) and not _is_short_list(value):
            continue
        shown = ", ".join(_number(item) for item in value) if isinstance(value, (list, tuple)) else _number(value)
        if shown:
            rows.append([_label(name), shown])
    return rows[:14]


_UNITS = {"lu": "LU", "s": "s", "bpm": "BPM", "lufs": "LUFS", "db": "dB", "hz": "Hz", "dbtp": "dBTP"}


def _label(name: str) -> str:
    stem, _, unit = name.rpartition("_")
    words, suffix = (stem, f" ({_UNITS[unit]})") if stem and unit in _UNITS else (name.removesuffix("_word"), "")
    return words.replace("_", " ").capitalize() + suffix


def _number(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _is_short_list(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) <= 8 and all(isinstance(v, (int, float, str)) for v in value)
