"""The page of a showcase: complete without its script, so that it is read, printed and searched as it stands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from musiscene.palette import ACCENTS
from musiscene.showcase.build import Exhibit, Voice
from musiscene.showcase.reading import Track, without_paths
from musiscene.showcase.words import WORDS, Words
from musiscene.types import CaptionKind

STATIC = Path(__file__).parent / "static"
SCRIPTS = ("sound.js", "words.js", "player.js", "presenter.js", "start.js")


def render(exhibits: Sequence[Exhibit], title: str = "", language: str = "") -> str:
    """The page's HTML, with style, script and every word in it; media are beside it.

    Args:
        exhibits: What is shown.
        title: Its heading; empty for ours.
        language: Of the page's own words; empty for the one that the browser asks for.
    """
    words = Words(language or "en")
    heading = f"<h1>{escape(title.strip())}</h1>" if title.strip() else words.text("h1", "show_title")
    style = _accents() + (STATIC / "showcase.css").read_text("utf-8")
    script = "\n".join((STATIC / name).read_text("utf-8") for name in SCRIPTS)
    soundtracks = sum(voice.track is not None for exhibit in exhibits for voice in exhibit.voices)
    clips = words.count(len(exhibits), "gallery_clip", "gallery_clips")
    counted = f"{clips} · {words.count(soundtracks, 'gallery_track', 'gallery_tracks')}"
    return f"""<!doctype html>
<html lang="{words.language}"{" data-fixed" if language else ""}>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{escape(title.strip() or words["show_title"])} – MusiScene</title>
<link rel="icon" href="data:,">
<style>
{style}
</style>
</head>
<body>
<header class="top">
<div><p class="brand">MusiScene</p>{heading}<p class="counted">{counted}</p>
{words.text("p", "show_about", ' class="about"')}</div>
<div class="top-side"><div class="languages" role="group"{words.attribute("aria-label", "language")} hidden></div>
<button type="button" class="present" hidden>{words.text("span", "show_present")} <kbd>P</kbd></button></div>
</header>
{_contents(exhibits, words)}
<main>
{"".join(_article(number, exhibit, words) for number, exhibit in enumerate(exhibits, 1))}
</main>
<footer>
{words.text("p", "show_keys", ' class="keys" hidden')}
</footer>
{_presenter(words)}
<script type="application/json" id="exhibits">{_json([_data(exhibit) for exhibit in exhibits])}</script>
<script type="application/json" id="words">{_json({code: dict(texts) for code, texts in WORDS.items()})}</script>
<script>
{script}
</script>
</body>
</html>
"""


def _json(value: Any) -> str:
    """`value` as it may stand in a page: it cannot end its element."""
    return json.dumps(value, ensure_ascii=True).replace("<", "\\u003c")


def _presenter(words: Words) -> str:
    return f"""<dialog class="presenter"{words.attribute("aria-label", "show_stage")}>
<div class="stage-bar"><p class="where"></p><p class="stage-title"></p>
<button type="button" class="leave"{words.attribute("aria-label", "show_leave")}>✕</button></div>
<div class="stage"><video muted playsinline preload="auto"{words.attribute("aria-label", "show_clip")}></video>
<div class="big-wave"></div></div>
<div class="stage-voices" role="group"{words.attribute("aria-label", "show_soundtrack")}></div>
<p class="stage-words" aria-live="polite" tabindex="0"></p>
<div class="stage-foot"><div class="line"><span></span></div>
{words.text("p", "show_stage_keys")}</div>
</dialog>"""


def _accents() -> str:
    """The colours of the kinds, in both themes and for the presenter, which is always dark."""

    def lines(theme: str, prefix: str = "k") -> str:
        return "".join(f"--{prefix}-{kind.value}:{getattr(ACCENTS[kind], theme)};" for kind in CaptionKind)

    classes = "".join(f".k-{kind.value}{{--accent:var(--k-{kind.value});}}" for kind in CaptionKind)
    dark = f"@media screen and (prefers-color-scheme:dark){{:root{{{lines('dark')}}}}}"
    return f":root{{{lines('light')}}}{dark}.presenter{{{lines('dark')}}}{classes}\n"


def _contents(exhibits: Sequence[Exhibit], words: Words) -> str:
    if len(exhibits) < 3:
        return ""
    items = "".join(
        f'<li><a href="#{exhibit.name}">{_thumbnail(exhibit)}<span>{escape(exhibit.shown.title)}</span></a></li>'
        for exhibit in exhibits
    )
    return f"<nav{words.attribute('aria-label', 'show_clips')}><ul>{items}</ul></nav>"


def _thumbnail(exhibit: Exhibit) -> str:
    if not exhibit.poster:
        return '<i class="note" aria-hidden="true">♪</i>'
    return f'<img src="{exhibit.poster}" alt="" loading="lazy">'


def _article(number: int, exhibit: Exhibit, words: Words) -> str:
    shown = exhibit.shown
    voices = "".join(_voice(place, voice, exhibit, words) for place, voice in enumerate(exhibit.voices, 1))
    missing = "".join(
        f'<li class="missing k-{kind.value}">{words.text("h3", f"kind_{kind}")}<p lang="en">{escape(reason)}</p></li>'
        for kind, reason in shown.unavailable.items()
    )
    name = shown.title
    return f"""<article id="{exhibit.name}" aria-labelledby="{exhibit.name}-title">
<header><p class="number">{number:02d}</p><h2 id="{exhibit.name}-title">{escape(name)}</h2>
<p class="facts">{" · ".join(_facts(exhibit, words))}</p></header>
<div class="both">
<div class="picture">{_picture(exhibit, words)}
<div class="transport" hidden>
<button type="button" class="play"{words.attribute("aria-label", "show_play", name=name)}></button>
<input type="range" min="0" max="{exhibit.duration_s:.3f}" step="0.01" value="0"{
        words.attribute("aria-label", "show_time", name=name)
    }>
<output>0:00 / {_clock(exhibit.duration_s)}</output>
</div></div>
<ol class="voices">{voices}{missing}</ol>
</div>
{_provenance(exhibit, words)}
</article>
"""


def _picture(exhibit: Exhibit, words: Words) -> str:
    if not exhibit.picture:
        return '<div class="no-picture" aria-hidden="true">♪</div>'
    width, height = exhibit.size
    poster = printed = ""
    if exhibit.poster:
        poster = f' poster="{exhibit.poster}"'
        printed = f'<img class="printed" src="{exhibit.poster}"{words.attribute("alt", "show_picture")}>'
    return (
        f'<video src="{exhibit.picture}"{poster} width="{width}" height="{height}" controls playsinline'
        f' preload="metadata" aria-label="{escape(exhibit.shown.title)}"></video>{printed}'
    )


def _voice(place: int, voice: Voice, exhibit: Exhibit, words: Words) -> str:
    track = voice.track
    if track is None:
        about = words.text("p", "show_own_about", ' class="caption"')
        return (
            f'<li class="voice original" data-voice="{voice.name}">'
            f"<h3>{_button(place, words.text('span', 'show_own'))}</h3>{_wave(voice)}{about}</li>"
        )
    caption = exhibit.shown.captions.get(track.kind, {})
    files = words.text("a", "show_sound_file", f' href="{voice.file}" download')
    if track.video is not None:
        video = words.text("a", "show_video_file", f' href="media/{exhibit.name}/{voice.name}.mp4" download')
        files = f"{video} {files}"
    about = words.attribute("title", f"kind_{track.kind}_about")
    return (
        f'<li class="voice k-{track.kind.value}" data-voice="{voice.name}">'
        f"<h3{about}>{_button(place, _name(track, words))}</h3>{_rating(voice.scores, words)}{_wave(voice)}"
        f'<p class="caption" lang="en">{escape(str(caption.get("text", "")))}</p>'
        f'<p class="files">{files}</p></li>'
    )


def _name(track: Track, words: Words) -> str:
    kind = words.text("span", f"kind_{track.kind}")
    return f"{kind} · {words.text('span', 'take', n=track.take)}" if track.take > 1 else kind


def _button(place: int, name: str) -> str:
    key = f"<kbd>{place}</kbd>" if place < 10 else ""
    return f'<button type="button" aria-pressed="false" disabled>{key}<span>{name}</span></button>'


def _rating(scores: Sequence[float], words: Words) -> str:
    if not scores:
        return ""
    from musiscene.study.store import summarize

    found = summarize("", scores)
    told = words.count(found.count, "show_rating", "show_ratings")
    if found.low is not None and found.high is not None:
        told += ", " + words.text("span", "show_interval", low=f"{found.low:.0f}", high=f"{found.high:.0f}")
    label = words.attribute("aria-label", "show_mean")
    return (
        f'<p class="rating"><meter min="0" max="100" value="{found.mean:.1f}"{label}></meter>'
        f"<b>{found.mean:.0f}</b><span>{told}</span></p>"
    )


def _wave(voice: Voice) -> str:
    heights = [max(2, height) * 0.19 for height in voice.bars]
    path = "".join(f"M{x + 0.5:g} {20 - h:.1f}V{20 + h:.1f}" for x, h in enumerate(heights))
    drawing = f'<svg viewBox="0 0 {len(voice.bars)} 40" preserveAspectRatio="none"><path d="{path}"/></svg>'
    return f'<div class="wave" aria-hidden="true">{drawing}<div class="heard">{drawing}</div></div>'


def _facts(exhibit: Exhibit, words: Words) -> Iterator[str]:
    clip = exhibit.shown.clip
    yield _clock(exhibit.duration_s)
    if clip.get("display_width") or clip.get("width"):
        width, height = clip.get("display_width") or clip["width"], clip.get("display_height") or clip.get("height")
        yield escape(f"{width} × {height}")
    if exhibit.shown.profile:
        yield words.text("span", "show_profile", name=exhibit.shown.profile)


# -- how it was made ---------------------------------------------------------------------------------------------

_COLUMNS = ("show_soundtrack", "show_caption_by", "show_music_by", "show_seed", "show_level", "show_details")


def _provenance(exhibit: Exhibit, words: Words) -> str:
    rows = "".join(_row(voice, voice.track, exhibit, words) for voice in exhibit.voices if voice.track is not None)
    head = "".join(words.text("th", key, ' scope="col"') for key in _COLUMNS)
    label = words.attribute("aria-label", "show_made_of", name=exhibit.shown.title)
    return (
        f"<details>{words.text('summary', 'show_made')}"
        f'<div class="scroll" tabindex="0" role="region"{label}><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def _row(voice: Voice, track: Track, exhibit: Exhibit, words: Words) -> str:
    facts, caption = track.facts, exhibit.shown.captions.get(track.kind, {})
    level = facts.get("loudness_lufs")
    measured = isinstance(level, (int, float))
    cells = (
        f"<td>{escape(_by(caption))}</td>",
        f"<td>{escape(_by(facts))}</td>",
        f"<td>{escape(str(facts.get('seed', '')))}</td>",
        f"<td>{level:.1f} LUFS</td>" if measured else words.text("td", "silence"),
        f'<td lang="en">{escape("; ".join(_told(facts.get("provenance") or {}, caption)))}</td>',
    )
    return f'<tr class="k-{track.kind.value}"><th scope="row">{_name(track, words)}</th>{"".join(cells)}</tr>'


def _by(made: Mapping[str, Any]) -> str:
    seconds = made.get("seconds")
    took = f" ({seconds:.1f} s)" if isinstance(seconds, (int, float)) and seconds else ""
    return f"{made.get('backend', '')}{took}"


def _told(provenance: Mapping[str, Any], caption: Mapping[str, Any]) -> Iterator[str]:
    """What is plain enough for a table: the arranger's sentence, and every fact that is a word or a number."""
    known = without_paths(provenance)
    if sentence := known.get("sentence"):
        yield str(sentence).rstrip(".")
    written = known.get("written")
    if isinstance(written, Mapping):
        for name in ("form", "chords", "instruments"):
            value = written.get(name)
            if value:
                yield f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}"
    for name, value in known.items():
        if name != "sentence" and isinstance(value, (str, int, float)) and not isinstance(value, bool) and value != "":
            yield f"{name.replace('_', ' ')}: {value}"
    if prompt := caption.get("prompt"):
        yield f"asked: {without_paths(str(prompt))}"


# -- small words -------------------------------------------------------------------------------------------------


def _data(exhibit: Exhibit) -> dict[str, Any]:
    """What the script has to know."""
    return {
        "name": exhibit.name,
        "title": exhibit.shown.title,
        "duration": round(exhibit.duration_s, 3),
        "picture": exhibit.picture,
        "poster": exhibit.poster,
        "script": exhibit.script,
        "voices": [
            {
                "name": voice.name,
                "kind": voice.track.kind.value if voice.track else "",
                "take": voice.track.take if voice.track else 1,
                "file": voice.file,
                "caption": str(exhibit.shown.captions.get(voice.track.kind, {}).get("text", "")) if voice.track else "",
            }
            for voice in exhibit.voices
        ],
    }


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"
