"""The desk: opens comparisons by their token, begins and ends their work, and keeps ratings.

Work belongs to its comparison, not to the browser's connection: a page that is reloaded finds it going on.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextvars import copy_context
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from musiscene import workspace
from musiscene.errors import MusisceneError, StorageError
from musiscene.pipeline import Pipeline, ScoreOptions
from musiscene.registry import find_generator
from musiscene.settings import Settings
from musiscene.study.store import Rating, RatingStore, Summary
from musiscene.types import CaptionKind, CaptionSet
from musiscene.ui.asking import Asker
from musiscene.ui.availability import Availability
from musiscene.ui.choices import Choices
from musiscene.ui.comparison import Comparison
from musiscene.ui.comparison_file import STATE_FILE, open_folder, outdated, save, take_file
from musiscene.ui.sharing import try_hold
from musiscene.ui.texts import GoneError, PageError, Texts, duration_words
from musiscene.ui.turnstile import Turnstile
from musiscene.ui.working import Worker, profile_of

_log = logging.getLogger(__name__)

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,64}")

OPEN_AT_MOST = 200
"""Comparisons that are kept in memory; the others are read from their folder again."""

ABANDONED_AFTER_S = 20.0
"""Work that nobody looks at is stopped after this time: long enough for a page to be reloaded."""


class Desk:
    """All comparisons of one application. Safe to use from several threads at once."""

    def __init__(self, settings: Settings, pipeline: Pipeline, store: RatingStore) -> None:
        self.settings, self.pipeline, self.store = settings, pipeline, store
        self._open: OrderedDict[str, Comparison] = OrderedDict()
        self._lock = threading.Lock()
        # Each piece of work uses two or three threads of its own, so two of them fill a small machine.
        # Where another machine does the heavy part, most of it is waiting.
        places = max(2, (os.cpu_count() or 2) // 2)
        self.turnstile = Turnstile(max(4, places) if settings.backend_url else places)
        self._worker = Worker(pipeline, self.turnstile)
        self.availability = Availability(pipeline.pool)
        self.asker = Asker(pipeline, self.turnstile, self.availability)

    # -- opening -------------------------------------------------------------------------------------------------

    def open_file(self, path: Path, name: str) -> Comparison:
        """A new comparison of the media file at `path`, which the person calls `name`.

        Raises:
            MusisceneError: The file cannot be used; nothing is left behind.
        """
        folder = workspace.new_folder(self.settings.work_dir)
        try:
            kept = take_file(path, folder / "source", name)
            comparison = Comparison(folder, self.pipeline.probe(kept), name)
            _ = comparison.sources  # refuses a file with nothing to see and nothing to hear
            save(comparison)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return self._remember(comparison)

    def find(self, token: str) -> Comparison:
        """The comparison of that token.

        Raises:
            StorageError: It is not kept any more, or never was.
        """
        with self._lock:
            comparison = self._open.get(token)
            if comparison is not None and comparison.folder.is_dir() and not outdated(comparison):
                self._open.move_to_end(token)
                return comparison
        folder = self.settings.work_dir / token
        if not _TOKEN.fullmatch(token) or not (folder / STATE_FILE).is_file():
            raise GoneError("gone", time=self._keep_words)
        return self._remember(open_folder(folder, self.pipeline.probe))

    def _keep_words(self, texts: Texts) -> str:
        return duration_words(self.settings.keep_files_s, texts)

    def _remember(self, comparison: Comparison) -> Comparison:
        with self._lock:
            known = self._open.setdefault(comparison.token, comparison)
            if not known.folder.is_dir() or outdated(known):
                known = self._open[comparison.token] = comparison
            idle = [token for token, other in self._open.items() if not other.work.busy and other is not known]
            for token in idle[: max(0, len(self._open) - OPEN_AT_MOST)]:
                del self._open[token]
        return known

    def set_reference(self, comparison: Comparison, path: Path | None, name: str) -> Comparison:
        """Describe the sound of `path` in place of the clip's own; None goes back to the clip's own.

        Raises:
            MusisceneError: The track cannot be used, or work is under way.
        """
        if comparison.work.busy:
            raise PageError("busy_reference")
        comparison = self._fresh(comparison, keep_captions=False)
        clip = None
        if path is not None:
            kept = take_file(path, comparison.folder / "reference", name)
            clip = self.pipeline.probe(kept)
        before = comparison.reference
        with comparison.changing():
            comparison.reference, comparison.reference_name = clip, name
            try:
                _ = comparison.sources
            except MusisceneError:
                comparison.reference = before
                raise
            comparison.captions, comparison.written, comparison.unavailable = CaptionSet(), CaptionSet(), {}
            comparison.work.phase = "idle"
        save(comparison)
        return comparison

    def _fresh(self, comparison: Comparison, *, keep_captions: bool) -> Comparison:
        """`comparison` itself while it has no soundtracks, else a new one of the same clip: results stay as rated."""
        if not comparison.tracks:
            return comparison
        copy = self.open_file(comparison.clip.path, comparison.clip_name)
        if comparison.reference is not None:
            name = comparison.reference_name
            copy.reference = self.pipeline.probe(take_file(comparison.reference.path, copy.folder / "reference", name))
            copy.reference_name = name
        if keep_captions:
            copy.captions, copy.written = comparison.captions, comparison.written
            copy.unavailable, copy.briefs = dict(comparison.unavailable), dict(comparison.briefs)
        return copy

    def forget(self, token: str) -> None:
        """Remove a comparison with its files; its ratings stay."""
        try:
            comparison = self.find(token)
        except MusisceneError:
            return
        comparison.stop.set()
        comparison.stop_asking.set()
        with self._lock:
            self._open.pop(token, None)
        shutil.rmtree(comparison.folder, ignore_errors=True)

    def clean(self) -> int:
        """Remove what was not used for `keep_files_s`; say how many comparisons."""
        with self._lock:
            for comparison in self._open.values():
                if comparison.work.busy and comparison.folder.is_dir():
                    os.utime(comparison.folder)  # work that takes longer than the time of keeping is in use
        removed = workspace.clean(self.settings.work_dir, self.settings.keep_files_s)
        with self._lock:
            for token in [token for token, comparison in self._open.items() if not comparison.folder.is_dir()]:
                del self._open[token]
        return removed

    # -- work ----------------------------------------------------------------------------------------------------

    def start(
        self,
        comparison: Comparison,
        choices: Choices,
        *,
        describe: bool,
        score: bool,
        edits: Mapping[str, str] | None = None,
        briefs: Mapping[str, Mapping[str, Any]] | None = None,
        again: frozenset[CaptionKind] | None = None,
    ) -> Comparison:
        """Begin to describe, to score, or both; return the comparison that the results appear in.

        Results that exist are never overwritten: scoring again begins a new comparison of the same clip.

        Args:
            comparison: What to work on.
            choices: How.
            describe: Write captions; those that a person edited are kept and used.
            score: Make soundtracks.
            edits: Kind -> text of captions that were edited in the page.
            briefs: Kind -> fields of the arranger's brief that were edited in the page.
            again: Captions to write while all others stay as they are; None for all that were chosen.

        Raises:
            RequestError: It is at work already, or there is nothing to score.
        """
        if comparison.work.busy:
            raise PageError("busy")
        captions = comparison.with_edits(edits or {})
        kinds = choices.kinds
        if not kinds:
            raise PageError("no_kinds")
        if score and not describe and not any(kind in captions for kind in kinds):
            raise PageError("need_captions")
        seed = secrets.randbelow(2**31) if choices.seed is None else choices.seed
        options = ScoreOptions(
            duration_s=choices.duration_s,
            seed=seed,
            takes=choices.takes,
            mix=choices.mix,
            music_gain_db=choices.music_gain_db,
            melody=choices.melody,
        )
        if score:
            self.pipeline.score_duration(comparison.sources, choices.duration_s)  # refuses before anything is done
            self._check_melody(comparison, choices)
        comparison = self._fresh(comparison, keep_captions=True)
        with comparison.changing():
            if comparison.work.busy:
                raise PageError("busy")
            comparison.hold = try_hold(comparison.folder)
            if comparison.hold is None:  # another page process works on it
                raise PageError("busy")
            comparison.captions = captions
            comparison.stop = threading.Event()
            profile = profile_of(self.pipeline, choices)
            engine = choices.generator or profile.generator
            comparison.options = {**choices.as_dict(), "engine": engine, "profile": profile.name}
            comparison.blind = choices.blind
            comparison.briefs = {CaptionKind(kind): dict(fields) for kind, fields in (briefs or {}).items() if fields}
            comparison.work = replace(comparison.work, phase="idle", busy=True, ahead=0, seconds_left=None, error="")
            if describe:
                comparison.captions = CaptionSet(
                    caption
                    for caption in comparison.captions.values()
                    if (caption.backend == "edited" if again is None else caption.kind not in again)
                )
                wanted = kinds if again is None else again
                comparison.unavailable = {
                    kind: reason
                    for kind, reason in comparison.unavailable.items()
                    if again is not None and kind not in again
                }
                comparison.writing = {
                    kind: 0.0 for kind in CaptionKind if kind in wanted and kind not in comparison.captions
                }
            if score:
                comparison.seed = seed
        if score:
            options = replace(options, overrides=comparison.briefs)
        threading.Thread(
            target=copy_context().run,  # with the visitor's request, for whoever lends a GPU
            args=(
                self._worker.work,
                comparison,
                choices,
                options,
                (kinds if again is None else again) if describe else None,
                score,
            ),
            name=f"musiscene-work-{comparison.token[:4]}",
            daemon=True,
        ).start()
        return comparison

    def _check_melody(self, comparison: Comparison, choices: Choices) -> None:
        if not choices.melody:
            return
        name = choices.generator or profile_of(self.pipeline, choices).generator
        if not find_generator(name).follows_melody:
            raise PageError("melody_engine", name=name)
        if comparison.sources.sound is None:
            raise PageError("melody_silent")

    def stop(self, comparison: Comparison) -> None:
        """Stop the work on this comparison, and on no other."""
        comparison.stop.set()

    def imagine(self, comparison: Comparison) -> Comparison:
        """Write the scene of a silent clip from its picture, and leave everything else as it is.

        Raises:
            RequestError: It is at work already, or nobody here can do it.
        """
        spec, lacks = self.availability.scene_painter()
        if spec is None or lacks:
            raise PageError("imagine_missing", after=lacks)
        before = Choices.read(comparison.options)
        scene = frozenset({CaptionKind.MSI})
        choices = replace(
            before, kinds=before.kinds | scene, captioners={**before.captioners, CaptionKind.MSI: spec.name}
        )
        return self.start(comparison, choices, describe=True, score=False, again=scene)

    def follow(self, comparison: Comparison, interval_s: float = 0.12) -> Iterator[Comparison]:
        """Yield `comparison` whenever it has changed (but not more often than `interval_s`) until its work is done."""
        with comparison.changing():
            comparison.followers += 1
        try:
            while True:
                seen = comparison.version
                active = comparison.active
                yield comparison
                if not active:
                    return
                pause = threading.Event()
                pause.wait(interval_s)  # several changes become one message
                comparison.wait_for_change(seen, timeout_s=1.0)
        finally:
            with comparison.changing():
                comparison.followers -= 1
            if comparison.active and not comparison.followers:
                stops = (comparison.stop, comparison.stop_asking)
                timer = threading.Timer(ABANDONED_AFTER_S, _stop_if_abandoned, (comparison, *stops))
                timer.daemon = True
                timer.start()

    # -- ratings -------------------------------------------------------------------------------------------------

    def rate(self, comparison: Comparison, person: str, track_id: str, score: float, comment: str) -> None:
        """Keep what `person` thinks of a soundtrack, at once.

        Raises:
            RequestError: The score or the comment cannot be taken.
            StorageError: The database refused; nothing was stored.
        """
        track = comparison.track(track_id)
        rendition = track.rendition
        assert rendition is not None, "track() returns finished ones"
        self.store.save(
            Rating(
                session_id=person,
                rendition_id=track.id,
                clip_hash=comparison.clip_hash,
                clip_name=comparison.clip_name,
                caption_kind=track.kind.value,
                caption_text=rendition.caption.text,
                caption_backend=rendition.caption.backend,
                backend=rendition.backend,
                seed=rendition.seed,
                take=track.take,
                loudness_lufs=rendition.loudness_lufs,
                duration_s=rendition.duration_s,
                score=score,
                comment=comment.strip(),
                blind=comparison.blind and not comparison.revealed_to(person),
                app_version=app_version(),
            )
        )
        with comparison.changing():
            comparison.scores.setdefault(person, {})[track.id] = {"score": score, "comment": comment.strip()}
        save(comparison)

    def summaries(self, comparison: Comparison) -> tuple[list[Summary], list[Summary]]:
        """Of this clip and of every clip, kinds in their order; empty lists when the database cannot be read."""
        order = [*CaptionKind, "all"]
        try:
            both = self.store.summaries(comparison.clip_hash), self.store.summaries()
        except StorageError as error:
            _log.warning("%s", error)
            return [], []
        of_clip, of_all = (
            sorted(group, key=lambda s: order.index(s.group) if s.group in order else 99) for group in both
        )
        return of_clip, of_all


def app_version() -> str:
    """Version of the installed package; "unknown" when it runs from a bare folder."""
    try:
        return version("musiscene")
    except PackageNotFoundError:
        return "unknown"


def _stop_if_abandoned(comparison: Comparison, *stops: threading.Event) -> None:
    if not comparison.followers:
        for stop in stops:
            stop.set()
