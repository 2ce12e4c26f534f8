"""One comparison: a clip, its captions, their soundtracks, and what people gave them. It lives in one folder.

The folder's unguessable name (the token) is the only key to it: who does not have the token sees nothing of it.
How it is written there and opened again is in `comparison_file`.
"""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

from musiscene import media
from musiscene.captions._language.brief import shorten
from musiscene.errors import MusisceneError
from musiscene.pipeline import (
    CaptionPart,
    CaptionReady,
    Event,
    KindUnavailable,
    RenditionFailed,
    RenditionReady,
    SoundPart,
    StageProgress,
)
from musiscene.sources import Sources, open_sources
from musiscene.types import Caption, CaptionKind, CaptionSet, Clip, Rendition
from musiscene.ui.beginnings import Beginning, write_beginning
from musiscene.ui.exchange import Exchange
from musiscene.ui.sharing import Hold, Stamp
from musiscene.ui.texts import PageError, title_of

LONGEST_CAPTION = 2000
"""Characters of an edited caption."""

PEAKS = 400
"""Points of a drawn waveform."""

BEGINNINGS = "beginnings"
"""Folder of what can be listened to before it is finished."""

STOPPED = "stopped"
"""Reason of a soundtrack that was not made because the work was stopped; a key of the page's texts."""

Phase: TypeAlias = Literal["idle", "waiting", "captions", "soundtracks", "stopped", "done"]
"""What the work on a comparison is at."""


@dataclass
class Track:
    """One soundtrack, from the moment that it was asked for.

    Attributes:
        id: Random; the only name that the browser knows before a blind comparison is revealed.
        letter: What it is called on the page.
        peaks: Envelope of the waveform, 0 to 100.
        beginning: What is written so far, where the generator tells and nothing is hidden.
    """

    id: str
    letter: str
    kind: CaptionKind
    take: int
    state: Literal["waiting", "working", "ready", "failed"] = "waiting"
    fraction: float = 0.0
    reason: str = ""
    rendition: Rendition | None = None
    peaks: list[int] = field(default_factory=list)
    beginning: Beginning | None = None


@dataclass
class Work:
    """What is being done now, for the progress line."""

    phase: Phase = "idle"
    busy: bool = False
    ahead: int = 0
    seconds_left: float | None = None
    note: str = ""
    error: MusisceneError | str = ""


class Comparison:
    """State of one comparison. Change it inside `with comparison.changing():` so that everybody who looks is told."""

    def __init__(self, folder: Path, clip: Clip, clip_name: str, clip_hash: str = "") -> None:
        self.folder = folder
        self.clip = clip
        self.clip_name = clip_name
        self.clip_hash = clip_hash or media.content_hash(clip.path)  # of a long clip that takes seconds
        self.reference: Clip | None = None
        self.reference_name = ""
        self.captions = CaptionSet()
        self.written = CaptionSet()
        """The captions as they were before a person edited them."""
        self.unavailable: dict[CaptionKind, str] = {}
        self.writing: dict[CaptionKind, float] = {}
        """Captions that are being written -> how far each is, 0 to 1."""
        self.partial: dict[CaptionKind, str] = {}
        """Their texts as far as they are written, where the captioner tells."""
        self.tracks: list[Track] = []
        self.original: dict[str, Any] = {}
        """The clip's own sound for listening: "peaks" and "is_reference"; empty when there is none."""
        self.options: dict[str, Any] = {}
        self.briefs: dict[CaptionKind, dict[str, Any]] = {}
        """Fields of the arranger's brief that a person changed."""
        self.seed: int | None = None
        self.planned_s: float | None = None
        """Length of the soundtracks that are being made."""
        self.questions: list[Exchange] = []
        """What was asked about the music, oldest first."""
        self.blind = False
        self.scores: dict[str, dict[str, dict[str, Any]]] = {}
        """Person -> track id -> "score" and "comment"."""
        self.scores_before: dict[str, dict[str, dict[str, Any]]] = {}
        """As they were written, or read, last."""
        self.made_at = time.time()
        self.work = Work()
        self.hold: Hold | None = None
        """The right to work on it, while it is worked on."""
        self.saving = threading.Lock()
        """Held while its file is written."""
        self.saved: Stamp = None
        """The version of its file that this is; another one was written by another page process."""
        self.stop = threading.Event()
        self.stop_asking = threading.Event()
        self.version = 0
        self._changed = threading.Condition(threading.RLock())
        self.followers = 0

    # -- what it is ----------------------------------------------------------------------------------------------

    @property
    def token(self) -> str:
        """The key to this comparison."""
        return self.folder.name

    @property
    def sources(self) -> Sources:
        """What is looked at and listened to.

        Raises:
            MissingStreamError: There is nothing to see and nothing to hear.
        """
        return open_sources(self.clip, self.reference)

    @property
    def active(self) -> bool:
        """Whether something of it is still changing by itself."""
        return self.work.busy or any(exchange.busy for exchange in self.questions)

    @property
    def duration_s(self) -> float:
        """Length of the comparison's timeline: that of the soundtracks, made or planned, else of the clip."""
        lengths = [track.rendition.duration_s for track in self.tracks if track.rendition]
        return max(lengths, default=self.planned_s or self.clip.duration_s)

    def track(self, track_id: str) -> Track:
        """The finished soundtrack of that id.

        Raises:
            RequestError: There is none.
        """
        for track in self.tracks:
            if track.id == track_id and track.rendition is not None:
                return track
        raise PageError("no_track")

    def revealed_to(self, person: str) -> bool:
        """Whether `person` may know which soundtrack came from which caption."""
        if not self.blind:
            return True
        finished = [track for track in self.tracks if track.state == "ready"]
        if self.work.busy or not finished:
            return False
        mine = self.scores.get(person, {})
        return all(track.id in mine for track in finished)

    def revealed_to_anybody(self) -> bool:
        """Whether somebody has rated everything, so that the results may leave with their names."""
        return not self.blind or any(self.revealed_to(person) for person in self.scores)

    # -- changes -------------------------------------------------------------------------------------------------

    def changing(self) -> _Change:
        """A block in which the state may be changed."""
        return _Change(self)

    def changing_nothing(self) -> threading.Condition:
        """A block in which nobody else changes the state."""
        return self._changed

    def wait_for_change(self, seen: int, timeout_s: float) -> int:
        """Wait until the version differs from `seen`, or for `timeout_s`; return the version."""
        with self._changed:
            self._changed.wait_for(lambda: self.version != seen, timeout_s)
            return self.version

    def with_edits(self, texts: Mapping[str, str]) -> CaptionSet:
        """The captions with the texts that a person edited; a text that is as it was written is not an edit.

        Raises:
            RequestError: A text is empty or too long.
        """
        captions = self.captions
        for kind in captions:
            if kind.value not in texts:
                continue
            text = " ".join(str(texts[kind.value]).split())
            if not text:
                raise PageError("caption_blank", title=partial(title_of, kind))
            if len(text) > LONGEST_CAPTION:
                raise PageError("caption_too_long", limit=LONGEST_CAPTION, n=len(text))
            written = self.written.get(kind)
            if written is not None and text == " ".join(written.text.split()):
                captions = captions.adding(written)
            elif text != captions[kind].text:
                captions = captions.adding(_edited(captions[kind], written or captions[kind], text))
        return captions

    def plan_tracks(self, kinds: Iterable[CaptionKind], takes: int, *, shuffle: bool) -> None:
        """Make a place for each soundtrack that will come, in the order in which the page shows them."""
        wanted = [(kind, take) for take in range(1, takes + 1) for kind in kinds]
        letters = [_letter(index) for index in range(len(wanted))]
        if shuffle:
            secrets.SystemRandom().shuffle(letters)
        planned = [
            Track(secrets.token_hex(8), letter, kind, take)
            for letter, (kind, take) in zip(letters, wanted, strict=True)
        ]
        self.tracks = sorted(planned, key=lambda track: (len(track.letter), track.letter))

    def apply(self, event: Event) -> None:
        """Take over what the pipeline reports."""
        peaks: list[int] = []
        if isinstance(event, RenditionReady):  # read before the block, which everybody who looks waits for
            peaks = waveform_peaks(media.probe(event.rendition.audio))
        with self.changing():
            self._apply(event, peaks)

    def _apply(self, event: Event, peaks: list[int]) -> None:
        if isinstance(event, CaptionReady):
            self.captions = self.captions.adding(event.caption)
            self.written = self.written.adding(event.caption)
            self.partial.pop(event.caption.kind, None)
            self.writing.pop(event.caption.kind, None)
            self.unavailable.pop(event.caption.kind, None)
        elif isinstance(event, CaptionPart):
            self.partial[event.kind] = event.text
        elif isinstance(event, KindUnavailable):
            self.unavailable[event.kind] = event.reason
            self.writing.pop(event.kind, None)
            self.partial.pop(event.kind, None)
        elif isinstance(event, StageProgress):
            self._progress(event)
        elif isinstance(event, RenditionReady):
            track = self._planned(event.rendition.kind, event.rendition.take)
            track.rendition, track.state, track.fraction = event.rendition, "ready", 1.0
            track.peaks, track.beginning = peaks, None
        elif isinstance(event, RenditionFailed):
            track = self._planned(event.kind, event.take)
            track.state, track.reason, track.beginning = "failed", event.reason, None
        elif isinstance(event, SoundPart) and not self.blind:  # the order in which they begin would tell the kinds
            track = self._planned(event.kind, event.take)
            track.beginning = track.beginning or Beginning(event.sample_rate)
            track.beginning.add(event.waveform)
            track.peaks = track.beginning.peaks(self.duration_s, PEAKS)

    def _progress(self, event: StageProgress) -> None:
        self.work.seconds_left, self.work.note = event.seconds_left, event.note
        if event.stage == "caption":
            for kind in event.kinds & self.writing.keys():
                self.writing[kind] = max(self.writing[kind], event.fraction)
            return
        # A soundtrack is made first (for all kinds at once) and then put on the clip; these are 80 and 20 % of its bar.
        for track in self.tracks:
            if track.kind in event.kinds and track.state in ("waiting", "working"):
                share = 0.8 * event.fraction if event.stage == "soundtrack" else 0.8 + 0.2 * event.fraction
                track.state, track.fraction = "working", max(track.fraction, share)

    def _planned(self, kind: CaptionKind, take: int) -> Track:
        return next(track for track in self.tracks if (track.kind, track.take) == (kind, take))

    # -- files ---------------------------------------------------------------------------------------------------

    def public_file(self, name: str) -> Path | None:
        """The file that the browser knows under `name`; None when there is no such file.

        Names say nothing of captions: `source`, `reference`, `original.wav`, and `ID.wav`, `ID.mid`, `ID.mp4`; and
        `ID.beginning.wav` while the rest of it is written.
        """
        if name == "source":
            return self.clip.path
        if name == "reference" and self.reference:
            return self.reference.path
        if name == "original.wav" and self.original:
            return self.folder / "original.wav"
        track_id, _, suffix = name.partition(".")
        for track in self.tracks:
            if track.id == track_id and suffix == "beginning.wav":
                return self._beginning_file(track)
            if track.id == track_id and track.rendition:
                rendition = track.rendition
                return {"wav": rendition.audio, "mid": rendition.midi, "mp4": rendition.video}.get(suffix)
        return None

    def _beginning_file(self, track: Track) -> Path | None:
        with self._changed:
            beginning = track.beginning
            pieces = list(beginning.pieces) if beginning else []
        return write_beginning(pieces, beginning.sample_rate, self.folder / BEGINNINGS, track.id) if beginning else None

    def drop_beginnings(self) -> None:
        """Remove the files of what was listened to before it was finished."""
        shutil.rmtree(self.folder / BEGINNINGS, ignore_errors=True)


class _Change:
    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison

    def __enter__(self) -> None:
        self._comparison._changed.acquire()

    def __exit__(self, *_: object) -> None:
        self._comparison.version += 1
        self._comparison._changed.notify_all()
        self._comparison._changed.release()


def _edited(caption: Caption, written: Caption, text: str) -> Caption:
    """`caption` with a person's own words; a music brief that they took says so, and keeps what it was made from."""
    evidence = dict(written.evidence)
    if text == evidence.get("music_brief") or text == shorten(written.text):
        evidence |= {"text_is": "music brief", "full_caption": written.text}
    return replace(caption, text=text, backend="edited", evidence=evidence)


def _letter(index: int) -> str:
    return chr(ord("A") + index % 26) * (1 + index // 26)


def waveform_peaks(clip: Clip, duration_s: float | None = None) -> list[int]:
    """Envelope of the sound of `clip` in `PEAKS` points, 0 to 100 of its own peak."""
    waveform = media.read_audio(clip, mono=True, duration_s=duration_s).waveform
    heights = abs(media.waveform_envelope(waveform, PEAKS)).max(axis=1)
    top = float(heights.max()) if len(heights) else 0.0
    return [round(100 * float(height) / top) if top > 0 else 0 for height in heights]
