"""Drawings of what captions were made from, once for the page, reports and papers alike: SVG by matplotlib.

Each drawing takes what evidence is there and leaves out the rest. Nothing here touches matplotlib's process-wide state
(no pyplot, no rcParams), so that two people may be drawn for at once; letters are drawn as outlines, so that it looks
the same without our fonts; and the same caption always gives the same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from musiscene.errors import RequestError, StorageError
from musiscene.palette import TITLES
from musiscene.plots.canvas import Ink, Row, Theme, make_figure, number, numbers
from musiscene.plots.fusion import VERDICTS, fusion_rows
from musiscene.plots.music import music_rows
from musiscene.plots.scene import scene_rows
from musiscene.plots.video import read_palette, video_rows
from musiscene.types import Caption, CaptionKind

__all__ = ["Theme", "plot_evidence", "save_evidence"]

_ROWS: Mapping[CaptionKind, Callable[[Mapping[str, Any]], list[Row]]] = {
    CaptionKind.VIDEO: video_rows,
    CaptionKind.MUSIC: music_rows,
    CaptionKind.FUSION: fusion_rows,
    CaptionKind.MSI: scene_rows,
}


def plot_evidence(caption: Caption, *, theme: Theme = "light") -> str:
    """The drawing of a caption's evidence as SVG text with a transparent ground; empty when there is nothing to draw.

    Raises:
        RequestError: There is no such theme.
    """
    if theme not in ("light", "dark"):
        raise RequestError(f"A plot's theme is 'light' or 'dark', got {theme!r}.")
    rows = _ROWS[caption.kind](caption.evidence)
    if not rows:
        return ""
    figure = make_figure(rows, Ink.of(caption.kind, theme))
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    return _finished(buffer.getvalue(), caption, f"{caption.kind}-{theme}")


def save_evidence(caption: Caption, path: Path, *, theme: Theme = "light") -> Path | None:
    """Write the drawing to `path` (.svg, .png or .pdf); None, and no file, when there is nothing to draw.

    Raises:
        RequestError: The file name has another ending, or there is no such theme.
        StorageError: The file cannot be written.
    """
    ending = path.suffix.lower()
    if ending not in (".svg", ".png", ".pdf"):
        raise RequestError(f"A plot is saved as .svg, .png or .pdf, not as {path.name!r}.")
    drawing = plot_evidence(caption, theme=theme)
    if not drawing:
        return None
    try:
        if ending == ".svg":
            path.write_text(drawing, encoding="utf-8")
        else:
            figure = make_figure(_ROWS[caption.kind](caption.evidence), Ink.of(caption.kind, theme))
            ground = "#16181d" if theme == "dark" else "white"
            figure.savefig(path, format=ending[1:], dpi=200, facecolor=ground, metadata=_undated(ending))
    except OSError as error:
        raise StorageError(f"The plot cannot be written to {path}: {error.strerror or error}.") from error
    return path


def _undated(ending: str) -> dict[str, None] | None:
    return {"CreationDate": None} if ending == ".pdf" else None


def _finished(svg: str, caption: Caption, prefix: str) -> str:
    """The same SVG with steady names, a title for screen readers and no fixed size."""
    names: dict[str, str] = {}
    for name in re.findall(r'\bid="([^"]+)"', svg):
        names.setdefault(name, f"{prefix}-{len(names)}")
    svg = re.sub(r'\bid="([^"]+)"', lambda found: f'id="{names[found[1]]}"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", lambda found: f"url(#{names.get(found[1], found[1])})", svg)
    svg = re.sub(r'href="#([^"]+)"', lambda found: f'href="#{names.get(found[1], found[1])}"', svg)
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    title = f"{TITLES[caption.kind]}: what was measured"
    described = _alternative(caption)
    head = f'role="img" aria-label={quoteattr(described)}'
    svg = re.sub(r"<svg ", f"<svg {head} ", svg, count=1)
    return re.sub(
        r"(<svg [^>]*>)",
        lambda found: f"{found[1]}\n <title>{escape(title)}</title>\n <desc>{escape(described)}</desc>",
        svg,
        count=1,
    )


def _alternative(caption: Caption) -> str:
    """What the drawing shows, for those who cannot see it."""
    e = caption.evidence
    if caption.kind is CaptionKind.VIDEO:
        cuts, palette = numbers(e.get("cuts_s")), read_palette(e)
        parts = [
            f"{len(cuts) + 1} shots" if "cuts_s" in e else "",
            f"motion: {e['motion_kind']}" if e.get("motion_kind") else "",
        ]
        parts.append(f"colours: {', '.join(str(s['name']) for s in palette)}" if palette else "")
    elif caption.kind is CaptionKind.MUSIC:
        tempo = number(e.get("tempo_bpm"))
        parts = [
            f"{tempo:.0f} beats a minute" if tempo else "",
            f"key: {e['key']}" if e.get("key") else "",
            "loudness over time",
        ]
    elif caption.kind is CaptionKind.FUSION:
        agreement = e.get("agreement_word")
        parts = [
            "motion of the picture against energy of the music",
            VERDICTS.get(str(agreement), ""),
        ]
    else:
        parts = ["place of the music between calm and excited, unpleasant and pleasant", "with the nearest scenes"]
    return f"{TITLES[caption.kind]}: {'; '.join(part for part in parts if part)}."
