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

from musiscene.errors import MusisceneError
from musiscene.ui import view
from musiscene.ui.ask_view import ask_view
from musiscene.ui.caption_view import captions_view
from musiscene.ui.choices import read_choices
from musiscene.ui.comparison import Comparison
from musiscene.ui.desk import Desk
from musiscene.ui.examples import Example
from musiscene.ui.machine_view import machine_view
from musiscene.ui.scores_panel import ClipMeter
from musiscene.ui.texts import ENGLISH, PageError, Texts, say, say_error, texts_for
from musiscene.ui.uploads import not_kept

PARTS = ("source", "progress", "captions", "ask", "player")
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
        texts: Those of the language that the page is read in.
    """

    token: str = ""
    person: str = ""
    edits: Mapping[str, str] = field(default_factory=dict)
    briefs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    texts: Texts = field(default_factory=lambda: ENGLISH)

    @classmethod
    def read(cls, sent: Any) -> Page:
        """Take what a browser sent, whatever it is.

        Raises:
            RequestError: It is not what our page sends.
        """
        sent = sent if isinstance(sent, Mapping) else {}
        edits, briefs = sent.get("edits") or {}, sent.get("briefs") or {}
        page = cls(
            str(sent.get("token") or ""), str(sent.get("person") or ""), edits, briefs, texts_for(sent.get("lang"))
        )
        if not isinstance(edits, Mapping) or not isinstance(briefs, Mapping):
            raise PageError("other_version")
        if not all(isinstance(brief, Mapping) for brief in briefs.values()):
            raise PageError("other_version")
        if not _PERSON.fullmatch(page.person):
            raise PageError("no_person")
        return page


class Handlers:
    """The handlers of one application."""

    def __init__(self, desk: Desk, examples: Mapping[str, Example], upload_dir: Path) -> None:
        self._desk, self._examples, self._upload_dir = desk, examples, upload_dir.resolve()
        self._meter = ClipMeter(desk.settings)

    # -- clip ----------------------------------------------------------------------------------------------------

    def open_upload(self, event: gr.EventData) -> Values:
        """A file was uploaded, or recorded: read it and show its facts."""
        return self._open(event, self._uploaded)

    def open_example(self, event: gr.EventData) -> Values:
        """An example was chosen."""
        return self._open(event, self._chosen_example)

    def _open(self, event: gr.EventData, find: Any) -> Values:
        texts = _texts(event._data)
        try:
            page = Page.read(event._data)
            path, name = find(event._data)
            with not_kept(path, self._upload_dir):
                return self._values(self._desk.open_file(path, name), page)
        except Exception as error:  # noqa: BLE001 - every problem becomes words beside the clip
            return self._empty(say_error(error, "reading the clip", texts), texts)

    def set_reference(self, event: gr.EventData) -> Values:
        """A reference track was uploaded, or taken away (without a path)."""
        texts = _texts(event._data)
        try:
            page = Page.read(event._data)
            comparison = self._desk.find(page.token)
        except MusisceneError as error:
            return self._empty(say(error, texts), texts)
        try:
            path, name = self._uploaded(event._data) if event._data.get("path") else (None, "")
            return self._values(self._desk.set_reference(comparison, path, name), page)
        except Exception as error:  # noqa: BLE001 - as above
            reason = say_error(error, "reading the reference music", texts)
            return (view.source_view(comparison, reason, texts), *self._values(comparison, page)[1:])

    def _uploaded(self, sent: Mapping[str, Any]) -> tuple[Path, str]:
        path = Path(str(sent.get("path", ""))).resolve()
        # A browser can send any path; only those of uploads are opened.
        if not path.is_relative_to(self._upload_dir) or not path.is_file():
            raise PageError("upload_unknown")
        return path, str(sent.get("name") or path.name)

    def _chosen_example(self, sent: Mapping[str, Any]) -> tuple[Path, str]:
        example = self._examples.get(str(sent.get("example")))
        if example is None:
            raise PageError("no_example")
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
        comparison, page = None, Page(texts=_texts(sent))
        try:
            page = Page.read(sent)
            if not page.token:
                raise PageError("need_clip")
            comparison = self._desk.find(page.token)
            choices = read_choices(settings)
            comparison = self._desk.start(
                comparison, choices, describe=describe, score=score, edits=page.edits, briefs=page.briefs
            )
        except Exception as error:  # noqa: BLE001 - every problem becomes words beside the buttons
            yield self._failed(comparison, page, say_error(error, "starting the work", page.texts))
            return
        yield from self._follow(comparison, page)

    def _follow(self, comparison: Comparison, page: Page) -> Iterator[Values]:
        shown: Values = ()
        for _ in self._desk.follow(comparison):
            values = self._values(comparison, page)
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
            gr.Info(say(error, _texts(sent)))

    def measured(self, sent: Any) -> Iterator[str]:
        """Measure the soundtracks that this person may know; Markdown that grows."""
        texts = _texts(sent)
        try:
            page = Page.read(sent)
            yield from self._meter.report(self._desk.find(page.token), page.person, texts)
        except Exception as error:  # noqa: BLE001 - as above
            yield say_error(error, "measuring the soundtracks", texts)

    def imagine(self, event: gr.EventData) -> Iterator[Values]:
        """Write the scene of a silent clip from its picture."""
        comparison, page = None, Page(texts=_texts(event._data))
        try:
            page = Page.read(event._data)
            comparison = self._desk.imagine(self._desk.find(page.token))
        except Exception as error:  # noqa: BLE001 - as above
            yield self._failed(comparison, page, say_error(error, "starting the work", page.texts))
            return
        yield from self._follow(comparison, page)

    def restore(self, event: gr.EventData) -> Iterator[Values]:
        """Show an earlier comparison, or the one of a link; go on following work that is still being done."""
        texts = _texts(event._data)
        try:
            page = Page.read(event._data)
            comparison = self._desk.find(page.token)
        except Exception as error:  # noqa: BLE001 - as above
            said = say_error(error, "opening the comparison", texts)
            yield self._empty(said, texts, lost=str(event._data.get("token", "")))
            return
        yield from self._follow(comparison, page)

    def forget(self, event: gr.EventData) -> None:
        """Delete a comparison with its files."""
        self._desk.forget(Page.read(event._data).token)

    # -- questions -----------------------------------------------------------------------------------------------

    def ask(self, event: gr.EventData) -> Iterator[Values]:
        """Answer a question about the music, word by word."""
        comparison, page = None, Page(texts=_texts(event._data))
        try:
            page = Page.read(event._data)
            comparison = self._desk.find(page.token)
            self._desk.asker.ask(comparison, str(event._data.get("question") or ""), page.person)
        except Exception as error:  # noqa: BLE001 - as above
            asking = self._ask_view(comparison, page)
            said = say_error(error, "asking the music", page.texts)
            yield (gr.skip(), gr.skip(), gr.skip(), {**asking, "error": said}, gr.skip())
            return
        yield from self._follow(comparison, page)

    def first_ask_view(self) -> view.View:
        """The panel before there is a clip; the script says it in the page's language."""
        return self._ask_view(None, Page())

    def stop_asking(self, event: gr.EventData) -> None:
        """Stop the answer that is being written."""
        try:
            self._desk.find(Page.read(event._data).token).stop_asking.set()
        except MusisceneError as error:
            gr.Info(say(error, _texts(event._data)))

    # -- machine -------------------------------------------------------------------------------------------------

    def look(self, event: gr.EventData) -> view.View:
        """What this machine can run."""
        return machine_view(self._desk.pipeline, self._desk.availability, _texts(event._data))

    # -- ratings -------------------------------------------------------------------------------------------------

    def rate(self, event: gr.EventData) -> Values:
        """Keep a rating, at once; reveal a blind comparison with its last one."""
        sent, texts = event._data, _texts(event._data)
        try:
            page = Page.read(sent)
            comparison = self._desk.find(page.token)
        except MusisceneError as error:
            return self._empty(say(error, texts), texts)
        track_id, problem = str(sent.get("track")), ""
        try:
            score = float(sent.get("score"))
            self._desk.rate(comparison, page.person, track_id, score, str(sent.get("comment") or ""))
        except Exception as error:  # noqa: BLE001 - as above
            problem = say_error(error, "saving the rating", texts)
        values = list(self._values(comparison, page))
        values[-1] = {**values[-1], "rated": {"track": track_id, "at": sent.get("at"), "error": problem}}
        return tuple(values)

    # -- values --------------------------------------------------------------------------------------------------

    def _values(self, comparison: Comparison, page: Page) -> Values:
        person, texts = page.person, page.texts
        with comparison.changing_nothing():
            rated = bool(comparison.scores.get(person))
            show = rated and comparison.revealed_to(person) and not comparison.work.busy
        summaries = self._desk.summaries(comparison) if show else ((), ())
        painter = self._desk.availability.scene_painter()
        with comparison.changing_nothing():
            return (
                view.source_view(comparison, texts=texts),
                view.progress_view(comparison, person, texts),
                captions_view(comparison, person, texts, painter),
                self._ask_view(comparison, page),
                view.player_view(comparison, person, summaries, texts),
            )

    def _ask_view(self, comparison: Comparison | None, page: Page) -> view.View:
        return ask_view(comparison, page.person, self._desk.availability.answerer(), page.texts)

    def _failed(self, comparison: Comparison | None, page: Page, reason: str) -> Values:
        if comparison is None:
            progress = {**view.progress_view(None, page.person, page.texts), "text": "", "error": reason}
            return gr.skip(), progress, gr.skip(), gr.skip(), gr.skip()
        values = list(self._values(comparison, page))
        values[1] = {**values[1], "error": reason}
        return tuple(values)

    def _empty(self, error: str, texts: Texts, lost: str = "") -> Values:
        source = {**view.source_view(None, error), "lost": lost}
        nobody = Page(texts=texts)
        return (
            source,
            view.progress_view(None, "", texts),
            captions_view(None, "", texts),
            self._ask_view(None, nobody),
            view.player_view(None, ""),
        )


def _texts(sent: Any) -> Texts:
    return texts_for(sent.get("lang")) if isinstance(sent, Mapping) else ENGLISH


def _same(new: Any, old: Any) -> bool:
    return {**new, "version": 0} == {**old, "version": 0}
