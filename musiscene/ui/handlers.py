"""What happens when something is pressed: plain functions from what the browser sent to what it is shown.

Each returns the values of the page's parts in the order of `PARTS`. They translate and nothing else; the work is done
by the desk, and `view` decides what may be told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from musiscene.errors import MusisceneError, RequestError, explain
from musiscene.types import CaptionKind, Mix
from musiscene.ui import view
from musiscene.ui.comparison import Comparison
from musiscene.ui.desk import Choices, Desk
from musiscene.ui.examples import Example
from musiscene.ui.texts import ENGLISH

PARTS = ("source", "progress", "captions", "player")
"""The parts of the page that handlers fill, in the order of their outputs."""

Values = tuple[Any, ...]

_PERSON = re.compile(r"[A-Za-z0-9-]{8,64}")


@dataclass(frozen=True, slots=True)
class Page:
    """What the page knows of itself and sends along.

    Attributes:
        token: Of the comparison that is shown; empty before there is one.
        person: Random name of this browser.
        edits: Kind -> text of a caption that was edited.
        briefs: Kind -> fields of the musical brief that were edited.
    """

    token: str = ""
    person: str = ""
    edits: Mapping[str, str] = field(default_factory=dict)
    briefs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, sent: Any) -> Page:
        """Take what a browser sent, whatever it is.

        Raises:
            RequestError: It is not what our page sends.
        """
        sent = sent if isinstance(sent, Mapping) else {}
        edits, briefs = sent.get("edits") or {}, sent.get("briefs") or {}
        page = cls(str(sent.get("token") or ""), str(sent.get("person") or ""), edits, briefs)
        if not isinstance(edits, Mapping) or not isinstance(briefs, Mapping):
            raise RequestError("This page is of another version than its server. Reload it.")
        if not all(isinstance(brief, Mapping) for brief in briefs.values()):
            raise RequestError("This page is of another version than its server. Reload it.")
        if not _PERSON.fullmatch(page.person):
            raise RequestError("This browser did not say who it is. Reload the page.")
        return page


class Handlers:
    """The handlers of one application."""

    def __init__(self, desk: Desk, examples: Mapping[str, Example], upload_dir: Path) -> None:
        self._desk, self._examples, self._upload_dir = desk, examples, upload_dir.resolve()

    # -- clip ----------------------------------------------------------------------------------------------------

    def open_upload(self, event: gr.EventData) -> Values:
        """A file was uploaded, or recorded: read it and show its facts."""
        return self._open(event, self._uploaded)

    def open_example(self, event: gr.EventData) -> Values:
        """An example was chosen."""
        return self._open(event, self._chosen_example)

    def _open(self, event: gr.EventData, find: Any) -> Values:
        try:
            page = Page.read(event._data)
            path, name = find(event._data)
            return self._values(self._desk.open_file(path, name), page.person)
        except Exception as error:  # noqa: BLE001 - every problem becomes words beside the clip
            return self._empty(explain(error, "reading the clip"))

    def set_reference(self, event: gr.EventData) -> Values:
        """A reference track was uploaded, or taken away (without a path)."""
        try:
            page = Page.read(event._data)
            comparison = self._desk.find(page.token)
        except MusisceneError as error:
            return self._empty(str(error))
        try:
            path, name = self._uploaded(event._data) if event._data.get("path") else (None, "")
            return self._values(self._desk.set_reference(comparison, path, name), page.person)
        except Exception as error:  # noqa: BLE001 - as above
            reason = explain(error, "reading the reference music")
            return (view.source_view(comparison, reason), *self._values(comparison, page.person)[1:])

    def _uploaded(self, sent: Mapping[str, Any]) -> tuple[Path, str]:
        path = Path(str(sent.get("path", ""))).resolve()
        # A browser can send any path; only those of uploads are opened.
        if not path.is_relative_to(self._upload_dir) or not path.is_file():
            raise RequestError(ENGLISH["upload_unknown"])
        return path, str(sent.get("name") or path.name)

    def _chosen_example(self, sent: Mapping[str, Any]) -> tuple[Path, str]:
        example = self._examples.get(str(sent.get("example")))
        if example is None:
            raise RequestError("There is no such example. Reload the page.")
        return example.path, example.path.name

    # -- work ----------------------------------------------------------------------------------------------------

    def describe(self, sent: Any, *settings: Any) -> Iterator[Values]:
        """Write captions; show each as soon as it is ready."""
        return self._run(sent, settings, describe=True, score=False)

    def score(self, sent: Any, *settings: Any) -> Iterator[Values]:
        """Make soundtracks from the captions as they are now; show each as soon as it is ready."""
        return self._run(sent, settings, describe=False, score=True)

    def both(self, sent: Any, *settings: Any) -> Iterator[Values]:
        """Captions and soundtracks in one go."""
        return self._run(sent, settings, describe=True, score=True)

    def _run(self, sent: Any, settings: tuple[Any, ...], *, describe: bool, score: bool) -> Iterator[Values]:
        comparison, person = None, ""
        try:
            page = Page.read(sent)
            person = page.person
            if not page.token:
                raise RequestError(ENGLISH["need_clip"])
            comparison = self._desk.find(page.token)
            choices = read_choices(settings)
            comparison = self._desk.start(
                comparison, choices, describe=describe, score=score, edits=page.edits, briefs=page.briefs
            )
        except Exception as error:  # noqa: BLE001 - every problem becomes words beside the buttons
            yield self._failed(comparison, person, explain(error, "starting the work"))
            return
        yield from self._follow(comparison, person)

    def _follow(self, comparison: Comparison, person: str) -> Iterator[Values]:
        shown: Values = ()
        for _ in self._desk.follow(comparison):
            values = self._values(comparison, person)
            yield tuple(
                gr.skip() if shown and _same(new, old) else new
                for new, old in zip(values, shown or values, strict=True)
            )
            shown = values

    def stop(self, sent: Any) -> None:
        """Stop this person's work."""
        try:
            self._desk.stop(self._desk.find(Page.read(sent).token))
        except MusisceneError as error:
            gr.Info(str(error))

    def restore(self, event: gr.EventData) -> Iterator[Values]:
        """Show an earlier comparison, or the one of a link; go on following work that is still being done."""
        try:
            page = Page.read(event._data)
            comparison = self._desk.find(page.token)
        except Exception as error:  # noqa: BLE001 - as above
            yield self._empty(explain(error, "opening the comparison"), lost=str(event._data.get("token", "")))
            return
        yield from self._follow(comparison, page.person)

    def forget(self, event: gr.EventData) -> None:
        """Delete a comparison with its files."""
        self._desk.forget(Page.read(event._data).token)

    # -- ratings -------------------------------------------------------------------------------------------------

    def rate(self, event: gr.EventData) -> Values:
        """Keep a rating, at once; reveal a blind comparison with its last one."""
        sent = event._data
        try:
            page = Page.read(sent)
            comparison = self._desk.find(page.token)
        except MusisceneError as error:
            return self._empty(str(error))
        track_id, problem = str(sent.get("track")), ""
        try:
            score = float(sent.get("score"))
            self._desk.rate(comparison, page.person, track_id, score, str(sent.get("comment") or ""))
        except Exception as error:  # noqa: BLE001 - as above
            problem = explain(error, "saving the rating")
        values = list(self._values(comparison, page.person))
        values[3] = {**values[3], "rated": {"track": track_id, "at": sent.get("at"), "error": problem}}
        return tuple(values)

    # -- values --------------------------------------------------------------------------------------------------

    def _values(self, comparison: Comparison, person: str) -> Values:
        with comparison.changing_nothing():
            rated = bool(comparison.scores.get(person))
            show = rated and comparison.revealed_to(person) and not comparison.work.busy
        summaries = self._desk.summaries(comparison) if show else ((), ())
        with comparison.changing_nothing():
            return (
                view.source_view(comparison),
                view.progress_view(comparison, person),
                view.captions_view(comparison, person),
                view.player_view(comparison, person, summaries),
            )

    def _failed(self, comparison: Comparison | None, person: str, reason: str) -> Values:
        if comparison is None:
            return gr.skip(), {**view.progress_view(None, person), "text": "", "error": reason}, gr.skip(), gr.skip()
        values = list(self._values(comparison, person))
        values[1] = {**values[1], "error": reason}
        return tuple(values)

    def _empty(self, error: str, lost: str = "") -> Values:
        source = {**view.source_view(None, error), "lost": lost}
        return source, view.progress_view(None, ""), view.captions_view(None, ""), view.player_view(None, "")


def read_choices(settings: tuple[Any, ...]) -> Choices:
    """The values of the settings' fields, in the order of `settings_panel.FIELDS`.

    Raises:
        RequestError: One cannot be used; the message names it.
    """
    kinds, duration, seed, lock, takes, mix, gain, blind, generator, *captioners = settings
    seed_value: int | None = None
    if lock:
        if seed is None or not float(seed).is_integer() or not 0 <= seed < 2**31:
            raise RequestError(f"A seed is a whole number from 0 to {2**31 - 1}. Change it, or do not keep it.")
        seed_value = int(seed)
    return Choices(
        kinds=frozenset(CaptionKind(kind) for kind in kinds or ()),
        duration_s=None if not duration else float(duration),
        seed=seed_value,
        takes=int(takes or 1),
        mix=Mix(mix),
        music_gain_db=float(gain or 0.0),
        captioners={kind: name for kind, name in zip(CaptionKind, captioners, strict=True) if name},
        generator=generator or None,
        blind=bool(blind),
    )


def _same(new: Any, old: Any) -> bool:
    return {**new, "version": 0} == {**old, "version": 0}
