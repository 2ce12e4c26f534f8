"""The list of the gallery: one page without a script, complete as it is served."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

from musiscene.ui.texts import LANGUAGE_NAMES, Texts, fill, texts_for

if TYPE_CHECKING:
    from musiscene.ui.gallery import Exhibited, Show

STYLE = """
:root{--paper:#f6f6f3;--surface:#fff;--sunk:#ecebe6;--ink:#1a1c20;--muted:#585d67;--line:#dddcd6;--focus:#1f66c7;
color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--paper:#101216;--surface:#16181d;--sunk:#22252c;--ink:#eceef1;--muted:#a3a9b4;
--line:#2c3038;--focus:#7ab2ff}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Noto Sans","PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif}
h1,h2,p,ul{margin:0;padding:0}
ul{list-style:none}
a{color:inherit}
:focus-visible{outline:3px solid var(--focus);outline-offset:3px;border-radius:6px}
.page{width:min(1160px,100% - 40px);margin:0 auto;padding:24px 0 56px}
.bar{display:flex;flex-wrap:wrap;gap:4px 20px;justify-content:space-between;align-items:center;font-size:.9375rem}
.bar a{display:inline-flex;align-items:center;min-height:44px;color:var(--muted)}
.bar a:hover,.bar [aria-current]{color:var(--ink)}
.bar [aria-current]{text-decoration:none;font-weight:600}
.bar ul{display:flex;gap:16px}
h1{margin-top:28px;font-size:clamp(1.75rem,4.5vw,2.5rem);line-height:1.15;letter-spacing:-.02em}
.about{margin:8px 0 32px;max-width:60ch;color:var(--muted)}
.show{margin-bottom:24px;padding:24px;background:var(--surface);border:1px solid var(--line);border-radius:16px}
.show header{display:flex;flex-wrap:wrap;gap:2px 16px;align-items:baseline;justify-content:space-between;
margin-bottom:16px}
h2{font-size:1.25rem;line-height:1.3;overflow-wrap:anywhere}
h2 a{display:inline-block;padding:6px 0;text-decoration-thickness:1px;text-underline-offset:4px}
.show header p{color:var(--muted);font-size:.875rem;font-variant-numeric:tabular-nums}
.clips{display:grid;grid-template-columns:repeat(auto-fill,minmax(184px,1fr));gap:16px}
.clips a{display:block;text-decoration:none;font-size:.9375rem;overflow-wrap:anywhere}
.clips a:hover span{text-decoration:underline}
.clips img,.clips i{display:grid;place-items:center;width:100%;aspect-ratio:16/9;margin-bottom:6px;object-fit:cover;
border-radius:10px;background:var(--sunk);color:var(--muted);font-size:2.5rem;font-style:normal}
.empty{padding:56px 24px;background:var(--surface);border:1px dashed var(--line);border-radius:16px;text-align:center;
color:var(--muted)}
code{padding:1px 5px;border-radius:4px;background:var(--sunk);font-size:.9em}
@media (max-width:480px){.show{padding:16px}.clips{grid-template-columns:repeat(2,minmax(0,1fr));gap:12px}}
"""


def render_gallery(shows: Sequence[Show], language: str) -> str:
    """The HTML of the list in one language; addresses are relative to `gallery/`."""
    texts = texts_for(language)
    title = escape(texts["gallery"])
    shown = "".join(_show(show, language, texts) for show in shows)
    return f"""<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} – {escape(texts["title"])}</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
</head>
<body>
<div class="page">
<div class="bar"><a href="../">← {escape(texts["gallery_back"])}</a>
<nav aria-label="{escape(texts["language"])}"><ul>{_languages(language)}</ul></nav></div>
<main>
<h1>{title}</h1>
<p class="about">{escape(texts["gallery_about"])}</p>
{shown or f'<p class="empty">{_with_commands(texts["gallery_empty"])}</p>'}
</main>
</div>
</body>
</html>
"""


def _show(show: Show, language: str, texts: Texts) -> str:
    address = f"{quote(show.name)}/"
    clips = _count(len(show.clips), "gallery_clip", "gallery_clips", texts)
    soundtracks = _count(show.soundtracks, "gallery_track", "gallery_tracks", texts)
    pictures = "".join(_clip(clip, address, language) for clip in show.clips)
    return f"""<section class="show">
<header><h2><a href="{address}?lang={language}">{escape(show.title)}</a></h2><p>{clips} · {soundtracks}</p></header>
<ul class="clips">{pictures}</ul>
</section>
"""


def _clip(clip: Exhibited, address: str, language: str) -> str:
    picture = '<i aria-hidden="true">♪</i>'
    if clip.poster:
        picture = f'<img src="{address}{quote(clip.poster)}" alt="" loading="lazy">'
    link = f"{address}?lang={language}#{quote(clip.name)}"
    return f'<li><a href="{link}">{picture}<span>{escape(clip.title)}</span></a></li>'


def _languages(language: str) -> str:
    current = {language: ' aria-current="true"'}
    return "".join(
        f'<li><a lang="{code}" hreflang="{code}" href="?lang={code}"{current.get(code, "")}>{escape(name)}</a></li>'
        for code, name in LANGUAGE_NAMES.items()
    )


def _count(number: int, one: str, many: str, texts: Texts) -> str:
    return escape(texts[one] if number == 1 else fill(texts[many], n=number))


def _with_commands(text: str) -> str:
    """`text` with what stands between backticks as a command."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if index % 2 else piece for index, piece in enumerate(pieces))
