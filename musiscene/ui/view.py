"""What the browser is told of a comparison. Everything that leaves the server about one goes through here.

A blind comparison keeps its secret here: until a person has rated all of it, their view has no caption, kind, backend,
seed or reason, and no soundtrack appears before all are finished (the order would give the kinds away).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

from musiscene.study.store import Summary
from musiscene.types import CaptionKind, Clip
from musiscene.ui.comparison import STOPPED, Comparison, Track
from musiscene.ui.texts import ENGLISH, Texts, duration_words, fill, say, size_words, title_of

View: TypeAlias = dict[str, Any]
"""JSON-ready; the value of one part of the page."""

MEDIA_ROUTE = "musiscene/media"
ZIP_ROUTE = "musiscene/zip"
PLOT_ROUTE = "musiscene/plot"


def media_url(comparison: Comparison, name: str) -> str:
    """Address of a file of the comparison, relative to the page."""
    return f"{MEDIA_ROUTE}/{comparison.token}/{name}"


# -- clip --------------------------------------------------------------------------------------------------------


def source_view(comparison: Comparison | None, error: str = "", texts: Texts = ENGLISH) -> View:
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
        "poster": media_url(comparison, "poster.jpg") if clip.has_video else "",
        "facts": facts(clip, texts),
        "size": clip.display_size,
        "locked": comparison.work.busy,
        "made_at": comparison.made_at,
        "reference": None
        if comparison.reference is None
        else {
            "name": comparison.reference_name,
            "url": media_url(comparison, "reference"),
            "facts": facts(comparison.reference, texts),
        },
    }


def facts(clip: Clip, texts: Texts = ENGLISH) -> list[list[str]]:
    """Pairs of a name and a value, in words."""
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
        [texts["fact_length"], duration_words(clip.duration_s, texts)],
        [texts["fact_picture"], picture],
        [texts["fact_sound"], sound],
        [texts["fact_size"], f"{size_words(clip.size_bytes)}, {clip.container.split(',')[0]}".rstrip(", ")],
    ]


# -- progress ----------------------------------------------------------------------------------------------------


def progress_view(comparison: Comparison | None, person: str, texts: Texts = ENGLISH) -> View:
    """One line on what is being done, how far it is, and what went wrong."""
    if comparison is None:
        return {"token": "", "version": 0, "busy": False, "text": texts["idle_empty"], "fraction": 0.0, "error": ""}
    work = comparison.work
    text, fraction = texts["idle"], 0.0
    if work.phase == "waiting":
        text = texts["waiting_one"] if work.ahead == 1 else fill(texts["waiting_many"], n=work.ahead)
    elif work.phase == "captions":
        total = len(comparison.writing) + _settled(comparison)
        done = _settled(comparison)
        text = f"{texts['captioning']} · {fill(texts['of'], done=done, total=total)}"
        fraction = (done + sum(comparison.writing.values())) / max(1, total)
    elif work.phase == "soundtracks":
        done = sum(track.state in ("ready", "failed") for track in comparison.tracks)
        text = f"{texts['scoring']} · {fill(texts['of'], done=done, total=len(comparison.tracks))}"
        fraction = sum(1.0 if track.state == "failed" else track.fraction for track in comparison.tracks)
        fraction /= max(1, len(comparison.tracks))
    elif work.phase == "stopped":
        text = texts["stopped"]
    elif work.phase == "done":
        key = "done_captions" if comparison.revealed_to(person) else "done_captions_blind"
        text, fraction = texts["done" if comparison.tracks else key], 1.0
    if work.busy and work.seconds_left is not None and work.seconds_left >= 1:
        text += " · " + fill(texts["left"], time=duration_words(round(work.seconds_left), texts))
    return {
        "token": comparison.token,
        "version": comparison.version,
        "busy": work.busy,
        "phase": work.phase,
        "text": text,
        "fraction": round(min(1.0, fraction), 3),
        "note": work.note if work.busy and comparison.revealed_to(person) else "",
        "error": say(work.error, texts),
        "comparable": any(track.state == "ready" for track in comparison.tracks)
        and (not work.busy or comparison.revealed_to(person)),
    }


def _settled(comparison: Comparison) -> int:
    return len((set(comparison.captions) | set(comparison.unavailable)) - set(comparison.writing))


# -- compare -----------------------------------------------------------------------------------------------------


def player_view(
    comparison: Comparison | None,
    person: str,
    summaries: tuple[Sequence[Summary], Sequence[Summary]] = ((), ()),
    texts: Texts = ENGLISH,
) -> View:
    """The soundtracks, the picture they are played to, and this person's ratings.

    Args:
        comparison: What is played; None before there is anything.
        person: Who looks.
        summaries: Of this clip, and of every clip.
        texts: In which language.
    """
    if comparison is None or not comparison.tracks:
        token, version = (comparison.token, comparison.version) if comparison else ("", 0)
        return {"token": token, "version": version, "tracks": []}
    revealed = comparison.revealed_to(person)
    finished = [track for track in comparison.tracks if track.state == "ready"]
    mine = comparison.scores.get(person, {})
    show_files = revealed or not comparison.work.busy
    picture = next((track for track in finished if track.rendition and track.rendition.video), None)
    tracks = [
        _track(comparison, track, mine.get(track.id), texts, revealed=revealed, show_files=show_files)
        for track in comparison.tracks
    ]
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
        "windows": windows(comparison) if revealed else [],
        "original": {**comparison.original, "url": media_url(comparison, "original.wav")}
        if comparison.original
        else None,
        "picture": None
        if not comparison.clip.has_video
        else {
            "url": media_url(comparison, f"{picture.id}.mp4") if picture and show_files else "",
            "preview": media_url(comparison, "source") if any(track.beginning for track in comparison.tracks) else "",
            "size": comparison.clip.display_size,
            "poster": media_url(comparison, "poster.jpg"),
        },
        # What others think is shown to those who have said what they think.
        "summaries": _summaries(summaries, texts) if revealed and mine else None,
        "zip_url": f"{ZIP_ROUTE}/{comparison.token}" if revealed and finished and not comparison.work.busy else "",
        "options": {**comparison.options, "seed": comparison.seed} if revealed else None,
    }


def _track(
    comparison: Comparison, track: Track, mine: View | None, texts: Texts, *, revealed: bool, show_files: bool
) -> View:
    state = track.state
    if not show_files:
        state = "working" if comparison.work.phase == "soundtracks" else "waiting"
    view: View = {"id": track.id, "letter": track.letter, "state": state}
    if mine is not None:
        view["score"], view["comment"] = mine["score"], mine["comment"]
    if state == "ready":
        view["url"], view["peaks"] = media_url(comparison, f"{track.id}.wav"), track.peaks
    elif track.beginning is not None:  # never in a blind comparison
        seconds = track.beginning.seconds
        view["beginning"] = {
            "url": f"{media_url(comparison, track.id)}.beginning.wav?s={seconds:.2f}",
            "seconds": round(seconds, 2),
            "length": duration_words(round(seconds, 1), texts),
        }
        view["peaks"] = track.peaks
    if not revealed:
        return view
    view |= {"kind": track.kind.value, "title": title_of(track.kind, texts), "take": track.take}
    view["fraction"] = round(track.fraction, 2)
    view["reason"] = texts[STOPPED] if track.reason == STOPPED else track.reason
    rendition = track.rendition
    if rendition is not None:
        silent = rendition.loudness_lufs == float("-inf")
        view |= {
            "prompt": rendition.caption.text,
            "by": ", ".join(filter(None, (rendition.backend, str(rendition.provenance.get("made_on", ""))))),
            "seed": rendition.seed,
            "loudness": None if silent else f"{rendition.loudness_lufs:.1f}",
            "seconds": duration_words(round(rendition.seconds, 1), texts),
            "length": duration_words(round(rendition.duration_s, 1), texts),
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


def windows(comparison: Comparison) -> list[View]:
    """What a captioner saw in each part of a longer clip, where it says so: "start_s", "end_s", "text"."""
    seen = comparison.written.get(CaptionKind.VIDEO)
    listed = seen.evidence.get("windows") if seen else None
    found = []
    for part in listed if isinstance(listed, (list, tuple)) else ():
        try:
            start_s, end_s, text = float(part["start_s"]), float(part["end_s"]), str(part["text"]).strip()
        except (KeyError, TypeError, ValueError):
            continue
        if text and 0 <= start_s < end_s and start_s < comparison.clip.duration_s:
            found.append({"start_s": round(start_s, 3), "end_s": round(end_s, 3), "text": text})
    return found if len(found) > 1 else []


def _summaries(summaries: tuple[Sequence[Summary], Sequence[Summary]], texts: Texts) -> View:
    def rows(group: Sequence[Summary]) -> list[View]:
        titles = {kind.value: title_of(kind, texts) for kind in CaptionKind} | {"all": texts["summary_overall"]}
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
