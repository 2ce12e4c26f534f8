"""What the browser is told of a comparison. Everything that leaves the server about one goes through here.

A blind comparison keeps its secret here: until a person has rated all of it, their view has no caption, kind, backend,
seed or reason, and no soundtrack appears before all are finished (the order would give the kinds away).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from musiscene.palette import TITLES
from musiscene.study.store import Summary
from musiscene.types import CaptionKind, Clip
from musiscene.ui.brief_form import brief_form
from musiscene.ui.comparison import Comparison, Track
from musiscene.ui.texts import ENGLISH, duration_words, fill, size_words

View: TypeAlias = dict[str, Any]
"""JSON-ready; the value of one part of the page."""

MEDIA_ROUTE = "musiscene/media"
ZIP_ROUTE = "musiscene/zip"
PLOT_ROUTE = "musiscene/plot"


def media_url(comparison: Comparison, name: str) -> str:
    """Address of a file of the comparison, relative to the page."""
    return f"{MEDIA_ROUTE}/{comparison.token}/{name}"


# -- clip --------------------------------------------------------------------------------------------------------


def source_view(comparison: Comparison | None, error: str = "") -> View:
    """The clip, its facts, and the reference track."""
    if comparison is None:
        return {"token": "", "version": 0, "error": error}
    clip = comparison.clip
    return {
        "token": comparison.token,
        "version": comparison.version,
        "error": error,
        "name": comparison.clip_name,
        "url": media_url(comparison, "source"),
        "has_video": clip.has_video,
        "facts": facts(clip),
        "size": clip.display_size,
        "locked": comparison.work.busy,
        "made_at": comparison.made_at,
        "reference": None
        if comparison.reference is None
        else {
            "name": comparison.reference_name,
            "url": media_url(comparison, "reference"),
            "facts": facts(comparison.reference),
        },
    }


def facts(clip: Clip) -> list[list[str]]:
    """Pairs of a name and a value, in words."""
    texts = ENGLISH
    picture = sound = texts["fact_none"]
    size = clip.display_size
    if clip.has_video and size:
        rate = f", {clip.fps:.4g} fps" if clip.fps else ""
        picture = f"{size[0]} × {size[1]}{rate}, {clip.video_codec or ''}".rstrip(", ")
    if clip.has_audio:
        rate = f"{(clip.sample_rate or 0) / 1000:.4g} kHz"
        count = clip.channels or 0
        layout = {1: texts["mono"], 2: texts["stereo"]}.get(count, fill(texts["channels"], n=count))
        sound = (
            texts["fact_silent"] if clip.audio_silent else f"{rate}, {layout}, {clip.audio_codec or ''}".rstrip(", ")
        )
    return [
        [texts["fact_length"], duration_words(clip.duration_s)],
        [texts["fact_picture"], picture],
        [texts["fact_sound"], sound],
        [texts["fact_size"], f"{size_words(clip.size_bytes)}, {clip.container.split(',')[0]}".rstrip(", ")],
    ]


# -- progress ----------------------------------------------------------------------------------------------------


def progress_view(comparison: Comparison | None, person: str) -> View:
    """One line on what is being done, how far it is, and what went wrong."""
    if comparison is None:
        return {"token": "", "version": 0, "busy": False, "text": ENGLISH["idle_empty"], "fraction": 0.0, "error": ""}
    work = comparison.work
    text, fraction = ENGLISH["idle"], 0.0
    if work.phase == "waiting":
        text = ENGLISH["waiting_one"] if work.ahead == 1 else fill(ENGLISH["waiting_many"], n=work.ahead)
    elif work.phase == "captions":
        total = len(comparison.writing) + _settled(comparison)
        done = _settled(comparison)
        text = f"{ENGLISH['captioning']} · {fill(ENGLISH['of'], done=done, total=total)}"
        fraction = (done + sum(comparison.writing.values())) / max(1, total)
    elif work.phase == "soundtracks":
        done = sum(track.state in ("ready", "failed") for track in comparison.tracks)
        text = f"{ENGLISH['scoring']} · {fill(ENGLISH['of'], done=done, total=len(comparison.tracks))}"
        fraction = sum(1.0 if track.state == "failed" else track.fraction for track in comparison.tracks)
        fraction /= max(1, len(comparison.tracks))
    elif work.phase == "stopped":
        text = ENGLISH["stopped"]
    elif work.phase == "done":
        key = "done_captions" if comparison.revealed_to(person) else "done_captions_blind"
        text, fraction = ENGLISH["done" if comparison.tracks else key], 1.0
    if work.busy and work.seconds_left is not None and work.seconds_left >= 1:
        text += " · " + fill(ENGLISH["left"], time=duration_words(round(work.seconds_left)))
    return {
        "token": comparison.token,
        "version": comparison.version,
        "busy": work.busy,
        "phase": work.phase,
        "text": text,
        "fraction": round(min(1.0, fraction), 3),
        "error": work.error,
    }


def _settled(comparison: Comparison) -> int:
    return len((set(comparison.captions) | set(comparison.unavailable)) - set(comparison.writing))


# -- captions ----------------------------------------------------------------------------------------------------


_BRIEF_LABELS = {name.removeprefix("brief_"): text for name, text in ENGLISH.items() if name.startswith("brief_")}


def captions_view(comparison: Comparison | None, person: str) -> View:
    """The four cards."""
    if comparison is None:
        return {
            "token": "",
            "version": 0,
            "hidden": False,
            "cards": {kind.value: {"state": "empty"} for kind in CaptionKind},
        }
    if not comparison.revealed_to(person):
        return {"token": comparison.token, "version": comparison.version, "hidden": True, "cards": {}}
    cards = {kind.value: _card(comparison, kind) for kind in CaptionKind}
    return {"token": comparison.token, "version": comparison.version, "hidden": False, "cards": cards}


def _card(comparison: Comparison, kind: CaptionKind) -> View:
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
        return {"state": "unavailable", "reason": reason} if reason else {"state": "empty"}
    written = comparison.written.get(kind, caption)
    plot = f"{PLOT_ROUTE}/{comparison.token}/{kind.value}"
    return {
        "state": "ready",
        "text": caption.text,
        "written": written.text,
        "backend": caption.backend,
        "edited": caption.backend == "edited",
        "by": written.backend,
        "seconds": duration_words(round(written.seconds, 1)),
        "evidence": evidence_rows(written.evidence),
        "plot": {"light": f"{plot}.light.svg", "dark": f"{plot}.dark.svg"} if written.evidence else None,
        "brief": comparison.briefs.get(kind, {}),
        "form": brief_form(caption.text, _BRIEF_LABELS) if comparison.options.get("engine") == "sketch" else None,
    }


def evidence_rows(evidence: Any) -> list[list[str]]:
    """Measured values as pairs of a name and a value in words; long series are left to the plot."""
    rows: list[list[str]] = []
    for name, value in dict(evidence).items():
        if isinstance(value, (dict, list, tuple)) and not _is_short_list(value):
            continue
        shown = ", ".join(_number(item) for item in value) if isinstance(value, (list, tuple)) else _number(value)
        if shown:
            rows.append([_label(name), shown])
    return rows[:14]


_UNITS = {"s": "s", "bpm": "BPM", "lufs": "LUFS", "db": "dB", "hz": "Hz", "dbtp": "dBTP"}


def _label(name: str) -> str:
    stem, _, unit = name.rpartition("_")
    words, suffix = (stem, f" ({_UNITS[unit]})") if stem and unit in _UNITS else (name, "")
    return words.replace("_", " ").capitalize() + suffix


def _number(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _is_short_list(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) <= 8 and all(isinstance(v, (int, float, str)) for v in value)


# -- compare -----------------------------------------------------------------------------------------------------


def player_view(
    comparison: Comparison | None, person: str, summaries: tuple[Sequence[Summary], Sequence[Summary]] = ((), ())
) -> View:
    """The soundtracks, the picture they are played to, and this person's ratings.

    Args:
        comparison: What is played; None before there is anything.
        person: Who looks.
        summaries: Of this clip, and of every clip.
    """
    if comparison is None or not comparison.tracks:
        token, version = (comparison.token, comparison.version) if comparison else ("", 0)
        return {"token": token, "version": version, "tracks": []}
    revealed = comparison.revealed_to(person)
    finished = [track for track in comparison.tracks if track.state == "ready"]
    mine = comparison.scores.get(person, {})
    show_files = revealed or not comparison.work.busy
    picture = next((track for track in finished if track.rendition and track.rendition.video), None)
    tracks = [_track(comparison, track, mine.get(track.id), revealed, show_files) for track in comparison.tracks]
    return {
        "token": comparison.token,
        "version": comparison.version,
        "tracks": tracks,
        "blind": comparison.blind,
        "revealed": revealed,
        "to_rate": sum(track.id not in mine for track in finished),
        "failed_hidden": 0 if revealed else sum(track.state == "failed" for track in comparison.tracks),
        "duration_s": round(comparison.duration_s, 3),
        "cuts_s": _cuts(comparison),
        "original": {**comparison.original, "url": media_url(comparison, "original.wav")}
        if comparison.original
        else None,
        "picture": None
        if not comparison.clip.has_video
        else {
            "url": media_url(comparison, f"{picture.id}.mp4") if picture and show_files else "",
            "size": comparison.clip.display_size,
        },
        # What others think is shown to those who have said what they think.
        "summaries": _summaries(summaries) if revealed and mine else None,
        "zip_url": f"{ZIP_ROUTE}/{comparison.token}" if revealed and finished and not comparison.work.busy else "",
        "options": {**comparison.options, "seed": comparison.seed} if revealed else None,
    }


def _track(comparison: Comparison, track: Track, mine: View | None, revealed: bool, show_files: bool) -> View:
    state = track.state
    if not show_files:
        state = "working" if comparison.work.phase == "soundtracks" else "waiting"
    view: View = {"id": track.id, "letter": track.letter, "state": state}
    if mine is not None:
        view["score"], view["comment"] = mine["score"], mine["comment"]
    if state == "ready":
        view["url"], view["peaks"] = media_url(comparison, f"{track.id}.wav"), track.peaks
    if not revealed:
        return view
    view |= {"kind": track.kind.value, "title": TITLES[track.kind], "take": track.take}
    view["fraction"], view["reason"] = round(track.fraction, 2), track.reason
    rendition = track.rendition
    if rendition is not None:
        silent = rendition.loudness_lufs == float("-inf")
        view |= {
            "prompt": rendition.caption.text,
            "by": rendition.backend,
            "seed": rendition.seed,
            "loudness": None if silent else f"{rendition.loudness_lufs:.1f}",
            "seconds": duration_words(round(rendition.seconds, 1)),
            "length": duration_words(round(rendition.duration_s, 1)),
            "downloads": [
                [path.suffix[1:], f"{media_url(comparison, track.id + path.suffix)}?save=1"]
                for path in (rendition.video, rendition.audio, rendition.midi)
                if path is not None
            ],
        }
    return view


def _cuts(comparison: Comparison) -> list[float]:
    """Times of the cuts; they are of the clip, so they tell nothing of a blind comparison's captions."""
    seen = comparison.written.get(CaptionKind.VIDEO)
    cuts = seen.evidence.get("cuts_s", ()) if seen else ()
    return [round(float(cut), 3) for cut in cuts if 0 < cut < comparison.duration_s][:500]


def _summaries(summaries: tuple[Sequence[Summary], Sequence[Summary]]) -> View:
    def rows(group: Sequence[Summary]) -> list[View]:
        titles = {kind.value: title for kind, title in TITLES.items()}
        return [
            {
                "group": summary.group,
                "title": titles.get(summary.group, summary.group.capitalize()),
                "count": summary.count,
                "mean": round(summary.mean, 1),
                "low": None if summary.low is None else round(summary.low, 1),
                "high": None if summary.high is None else round(summary.high, 1),
                "method": summary.method,
            }
            for summary in group
        ]

    return {"clip": rows(summaries[0]), "all": rows(summaries[1])}


def download_name(comparison: Comparison, path: Path) -> str:
    """What a file is called when it is saved: after the clip and its caption once the comparison is revealed."""
    stem = Path(comparison.clip_name).stem or "clip"
    for track in comparison.tracks:
        rendition = track.rendition
        if rendition and path in (rendition.audio, rendition.video, rendition.midi):
            if not comparison.revealed_to_anybody():
                return f"{stem}-{track.letter}{path.suffix}"
            take = f"-{track.take}" if track.take > 1 else ""
            return f"{stem}-{track.kind.value}{take}{path.suffix}"
    return comparison.clip_name
