"""The collapsed panel of measured scores under the players; nothing is measured before somebody opens it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from musiscene.errors import MusisceneError
from musiscene.settings import Settings
from musiscene.types import CaptionKind
from musiscene.ui.comparison import Comparison, Track
from musiscene.ui.texts import Texts, fill, say, title_of
from musiscene.ui.translation import Markers


class ClipMeter:
    """Measures soundtracks one at a time; the networks are loaded when the first is measured, and once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._networks: Any = None
        self._found: dict[Path, Any] = {}

    def measure(self, comparison: Comparison, track: Track) -> Any:
        """The `ClipScores` of a finished soundtrack.

        Raises:
            MusisceneError: A file or weights cannot be used.
        """
        from musiscene import evaluation
        from musiscene.evaluation_pictures import Sight

        rendition = track.rendition
        assert rendition is not None
        with self._lock:
            if rendition.audio in self._found:
                return self._found[rendition.audio]
            if self._networks is None:
                self._networks = evaluation.load_networks(evaluation.Chosen(), self._settings, wanted=("passt", "clap"))
            seen = comparison.captions.get(CaptionKind.VIDEO)
            sound = comparison.sources.sound
            found = evaluation.score_clip(
                rendition.audio,
                text=rendition.caption.text,
                networks=self._networks,
                settings=self._settings,
                sight=Sight.of(seen.evidence, comparison.clip.duration_s) if seen else None,
                reference=sound.path if sound is not None else None,
            )
            if len(self._found) > 500:
                self._found.clear()
            self._found[rendition.audio] = found
            return found

    def report(self, comparison: Comparison, person: str, texts: Texts) -> Iterator[str]:
        """Markdown of all soundtracks that `person` may know by name, growing as they are measured."""
        tracks = [track for track in comparison.tracks if track.state == "ready" and track.rendition is not None]
        if not tracks or not comparison.revealed_to(person):
            yield texts["scores_none"]
            return
        rows: list[tuple[str, ...]] = []
        for track in tracks:
            yield _table(rows, texts) + f"\n\n{texts['scores_wait']}"
            title = f"{track.letter} · {title_of(track.kind, texts)}"
            try:
                rows.append((title, *_cells(self.measure(comparison, track), texts)))
            except MusisceneError as error:
                rows.append((title, fill(texts["scores_missing"], reason=say(error, texts)), "", "", ""))
        yield _table(rows, texts) + self._lacking(texts)

    def _lacking(self, texts: Texts) -> str:
        """Which weights would give more scores, and how to get them."""
        missing = self._networks.missing if self._networks is not None else {}
        reasons = dict.fromkeys(missing.values())  # several may lack one package
        return "\n\n".join(["", texts["scores_more"], *(f"- {reason}" for reason in reasons)]) if reasons else ""


def scores_panel(marked: Markers) -> tuple[gr.Accordion, gr.Markdown]:
    """Lay the panel out where this is called: what is opened, and where the scores appear."""
    with gr.Accordion(marked("scores"), open=False, elem_id="ms-scores") as panel:
        gr.Markdown(marked("scores_about"))
        table = gr.Markdown(elem_id="ms-scores-table")
    return panel, table


def _cells(found: Any, texts: Texts) -> tuple[str, str, str, str]:
    aligned = found.together.alignment if found.together else None
    related = found.together.correlation if found.together else None
    cuts = (
        f"{aligned.hits}/{aligned.cuts} ({fill(texts['scores_chance'], n=f'{aligned.chance:.0%}')})" if aligned else "–"
    )
    return (
        cuts,
        "–" if related is None else f"{related.rho:+.2f}".replace("-", "−"),
        "–" if found.clap is None else f"{found.clap:.3f}",
        "–" if found.kl is None else f"{found.kl:.2f}",
    )


def _table(rows: list[tuple[str, ...]], texts: Texts) -> str:
    if not rows:
        return ""
    columns = ("scores_track", "scores_cuts", "scores_energy", "scores_words", "scores_reference")
    # A column without any value is left out: its weights, or a picture, are not here.
    shown = [0, *(i for i in range(1, len(columns)) if any(row[i] not in ("", "–") for row in rows))]
    if len(shown) == 1:
        return texts["scores_none"]
    lines = [[texts[columns[i]] for i in shown], ["---"] * len(shown), *([row[i] for i in shown] for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
