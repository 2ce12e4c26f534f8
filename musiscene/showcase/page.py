"""The page of a showcase: complete without its script, so that it is read, printed and searched as it stands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from musiscene.palette import ACCENTS, EXPLANATIONS, TITLES
from musiscene.showcase.build import Exhibit, Voice
from musiscene.showcase.reading import without_paths
from musiscene.types import CaptionKind

STATIC = Path(__file__).parent / "static"
SCRIPTS = ("sound.js", "player.js", "presenter.js", "start.js")
_TITLE = "Soundtracks, compared"


def render(exhibits: Sequence[Exhibit], title: str = "") -> str:
    """The page's HTML, with style, script and every word in it; media are beside it."""
    heading = escape(title.strip() or _TITLE)
    data = json.dumps([_data(exhibit) for exhibit in exhibits], ensure_ascii=True).replace("<", "\\u003c")
    style = _accents() + (STATIC / "showcase.css").read_text("utf-8")
    script = "\n".join((STATIC / name).read_text("utf-8") for name in SCRIPTS)
    soundtracks = sum(voice.track is not None for exhibit in exhibits for voice in exhibit.voices)
    counted = f"{_count(len(exhibits), 'clip')}, {_count(soundtracks, 'soundtrack')}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{heading} – MusiScene</title>
<link rel="icon" href="data:,">
<style>
{style}
</style>
</head>
<body>
<header class="top">
<div><p class="brand">MusiScene</p><h1>{heading}</h1><p class="counted">{counted}</p></div>
<button type="button" class="present" hidden>Present <kbd>P</kbd></button>
</header>
{_contents(exhibits)}
<main>
{"".join(_article(number, exhibit) for number, exhibit in enumerate(exhibits, 1))}
</main>
<footer>
<p>Each soundtrack was made from the caption beside it, and all are levelled alike. Video: what is seen. Music: what is
heard. Fusion: both. Scene (MSI, Music Scene Imagination): what the sound alone evokes.</p>
<p class="keys" hidden><kbd>Space</kbd> plays, <kbd>1</kbd>–<kbd>9</kbd> switch at the same moment,
<kbd>←</kbd> <kbd>→</kbd> move by 5 seconds, <kbd>P</kbd> presents.</p>
</footer>
{_PRESENTER}
<script type="application/json" id="exhibits">{data}</script>
<script>
{script}
</script>
</body>
</html>
"""


_PRESENTER = """<dialog class="presenter" aria-label="Presentation">
<div class="stage-bar"><p class="where"></p><p class="stage-title"></p>
<button type="button" class="leave" aria-label="Leave the presentation">✕</button></div>
<div class="stage"><video muted playsinline preload="auto" aria-label="The clip"></video>
<div class="big-wave"></div></div>
<div class="stage-voices" role="group" aria-label="Soundtrack"></div>
<p class="stage-words" aria-live="polite" tabindex="0"></p>
<div class="stage-foot"><div class="line"><span></span></div>
<p><kbd>←</kbd><kbd>→</kbd> clip <kbd>↑</kbd><kbd>↓</kbd> soundtrack <kbd>Enter</kbd> reveal <kbd>Space</kbd> play
<kbd>Esc</kbd> leave</p></div>
</dialog>"""


def _accents() -> str:
    """The colours of the kinds, in both themes and for the presenter, which is always dark."""

    def lines(theme: str, prefix: str = "k") -> str:
        return "".join(f"--{prefix}-{kind.value}:{getattr(ACCENTS[kind], theme)};" for kind in CaptionKind)

    classes = "".join(f".k-{kind.value}{{--accent:var(--k-{kind.value});}}" for kind in CaptionKind)
    dark = f"@media screen and (prefers-color-scheme:dark){{:root{{{lines('dark')}}}}}"
    return f":root{{{lines('light')}}}{dark}.presenter{{{lines('dark')}}}{classes}\n"


def _contents(exhibits: Sequence[Exhibit]) -> str:
    if len(exhibits) < 3:
        return ""
    items = "".join(
        f'<li><a href="#{exhibit.name}">{_thumbnail(exhibit)}<span>{escape(exhibit.shown.title)}</span></a></li>'
        for exhibit in exhibits
    )
    return f'<nav aria-label="Clips"><ul>{items}</ul></nav>'


def _thumbnail(exhibit: Exhibit) -> str:
    if not exhibit.poster:
        return '<i class="note" aria-hidden="true">♪</i>'
    return f'<img src="{exhibit.poster}" alt="" loading="lazy">'


def _article(number: int, exhibit: Exhibit) -> str:
    shown = exhibit.shown
    voices = "".join(_voice(place, voice, exhibit) for place, voice in enumerate(exhibit.voices, 1))
    missing = "".join(
        f'<li class="missing k-{kind.value}"><h3>{TITLES[kind]}</h3><p>{escape(reason)}</p></li>'
        for kind, reason in shown.unavailable.items()
    )
    facts = " · ".join(escape(fact) for fact in _facts(exhibit))
    name = escape(shown.title)
    return f"""<article id="{exhibit.name}" aria-labelledby="{exhibit.name}-title">
<header><p class="number">{number:02d}</p><h2 id="{exhibit.name}-title">{name}</h2><p class="facts">{facts}</p></header>
<div class="both">
<div class="picture">{_picture(exhibit)}
<div class="transport" hidden>
<button type="button" class="play" aria-label="Play {name}"></button>
<input type="range" min="0" max="{exhibit.duration_s:.3f}" step="0.01" value="0" aria-label="Time in {name}">
<output>0:00 / {_clock(exhibit.duration_s)}</output>
</div></div>
<ol class="voices">{voices}{missing}</ol>
</div>
{_provenance(exhibit)}
</article>
"""


def _picture(exhibit: Exhibit) -> str:
    if not exhibit.picture:
        return '<div class="no-picture" aria-hidden="true">♪</div>'
    width, height = exhibit.size
    poster = f' poster="{exhibit.poster}"' if exhibit.poster else ""
    printed = f'<img class="printed" src="{exhibit.poster}" alt="A picture of the clip">' if exhibit.poster else ""
    return (
        f'<video src="{exhibit.picture}"{poster} width="{width}" height="{height}" controls playsinline'
        f' preload="metadata" aria-label="{escape(exhibit.shown.title)}"></video>{printed}'
    )


def _voice(place: int, voice: Voice, exhibit: Exhibit) -> str:
    track = voice.track
    if track is None:
        return (
            f'<li class="voice original" data-voice="{voice.name}"><h3>{_button(place, "Own sound")}</h3>'
            f'{_wave(voice)}<p class="caption">What the clip itself sounds like, at the same loudness.</p></li>'
        )
    take = f" · take {track.take}" if track.take > 1 else ""
    caption = exhibit.shown.captions.get(track.kind, {})
    file = "" if track.video is None else f'<a href="media/{exhibit.name}/{voice.name}.mp4" download>Video file</a>'
    return (
        f'<li class="voice k-{track.kind.value}" data-voice="{voice.name}">'
        f'<h3 title="{escape(EXPLANATIONS[track.kind])}">{_button(place, TITLES[track.kind] + take)}</h3>'
        f'{_rating(voice.scores)}{_wave(voice)}<p class="caption">{escape(str(caption.get("text", "")))}</p>'
        f'<p class="files">{file} <a href="{voice.file}" download>Sound file</a></p></li>'
    )


def _button(place: int, words: str) -> str:
    key = f"<kbd>{place}</kbd>" if place < 10 else ""
    return f'<button type="button" aria-pressed="false" disabled>{key}<span>{words}</span></button>'


def _rating(scores: Sequence[float]) -> str:
    if not scores:
        return ""
    from musiscene.study.store import summarize

    found = summarize("", scores)
    words = _count(found.count, "rating")
    if found.low is not None and found.high is not None:
        words += f", 95 % interval {found.low:.0f}–{found.high:.0f}"
    return (
        f'<p class="rating"><meter min="0" max="100" value="{found.mean:.1f}" aria-label="Mean rating"></meter>'
        f"<b>{found.mean:.0f}</b><span>{words}</span></p>"
    )


def _wave(voice: Voice) -> str:
    heights = [max(2, height) * 0.19 for height in voice.bars]
    path = "".join(f"M{x + 0.5:g} {20 - h:.1f}V{20 + h:.1f}" for x, h in enumerate(heights))
    drawing = f'<svg viewBox="0 0 {len(voice.bars)} 40" preserveAspectRatio="none"><path d="{path}"/></svg>'
    return f'<div class="wave" aria-hidden="true">{drawing}<div class="heard">{drawing}</div></div>'


def _facts(exhibit: Exhibit) -> Iterator[str]:
    clip = exhibit.shown.clip
    yield _clock(exhibit.duration_s)
    if clip.get("display_width") or clip.get("width"):
        width, height = clip.get("display_width") or clip["width"], clip.get("display_height") or clip.get("height")
        yield f"{width} × {height}"
    if exhibit.shown.profile:
        yield f"profile {exhibit.shown.profile}"


# -- how it was made ---------------------------------------------------------------------------------------------


def _provenance(exhibit: Exhibit) -> str:
    rows = "".join(_row(voice, exhibit) for voice in exhibit.voices if voice.track is not None)
    head = "".join(f'<th scope="col">{word}</th>' for word in ("Soundtrack", "Caption by", "Music by", "Seed", "Level"))
    return (
        '<details><summary>How it was made</summary><div class="scroll" tabindex="0" role="region" '
        f'aria-label="How the soundtracks of {escape(exhibit.shown.title)} were made"><table>'
        f'<thead><tr>{head}<th scope="col">Details</th></tr></thead><tbody>{rows}</tbody></table></div></details>'
    )


def _row(voice: Voice, exhibit: Exhibit) -> str:
    track = voice.track
    assert track is not None
    facts, caption = track.facts, exhibit.shown.captions.get(track.kind, {})
    level = facts.get("loudness_lufs")
    cells = (
        _by(caption),
        _by(facts),
        str(facts.get("seed", "")),
        f"{level:.1f} LUFS" if isinstance(level, (int, float)) else "silent",
        "; ".join(_told(facts.get("provenance") or {}, caption)),
    )
    title = TITLES[track.kind] + (f", take {track.take}" if track.take > 1 else "")
    filled = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr class="k-{track.kind.value}"><th scope="row">{title}</th>{filled}</tr>'


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
                "title": TITLES[voice.track.kind] if voice.track else "Own sound",
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


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
