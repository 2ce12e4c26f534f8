"""The work on a comparison, when it is its turn: captions, the clip's own sound as it is compared, soundtracks."""

from __future__ import annotations

import logging
from dataclasses import replace

from musiscene import media
from musiscene.errors import MusisceneError, Stopped, StorageError, explain
from musiscene.pipeline import Pipeline, ScoreOptions
from musiscene.profiles import Profile, choose
from musiscene.types import CaptionKind
from musiscene.ui.choices import Choices
from musiscene.ui.comparison import STOPPED, Comparison, Phase, waveform_peaks
from musiscene.ui.comparison_file import save
from musiscene.ui.texts import PageError, Translated
from musiscene.ui.turnstile import Turnstile

_log = logging.getLogger(__name__)


class Worker:
    """Works on the comparisons of one application, a few at a time."""

    def __init__(self, pipeline: Pipeline, turnstile: Turnstile) -> None:
        self._pipeline, self._turnstile = pipeline, turnstile

    def work(
        self,
        comparison: Comparison,
        choices: Choices,
        options: ScoreOptions,
        describe: frozenset[CaptionKind] | None,
        score: bool,
    ) -> None:
        """Do it, in this thread, when it is its turn; what goes wrong is told by the comparison.

        Args:
            comparison: What to work on; it is busy already, and is not when this returns.
            choices: How.
            options: How the soundtracks are made.
            describe: Captions to write; None for none.
            score: Make soundtracks.
        """
        phase: Phase = "done"
        error: MusisceneError | str = ""
        try:
            with self._turnstile.turn(comparison.stop, lambda ahead: _set_waiting(comparison, ahead)):
                if describe is not None:
                    self._describe(comparison, choices, describe)
                if score:
                    self._score(comparison, choices, options)
        except Stopped:
            phase = "stopped"
        except Exception as problem:  # noqa: BLE001 - whatever happens in this thread has to reach the page in words
            phase = "idle"
            error = (
                problem
                if isinstance(problem, Translated)
                else explain(problem, "making the soundtracks" if score else "writing the captions")
            )
        with comparison.changing():
            comparison.writing, comparison.partial = {}, {}
            comparison.tracks = [
                track
                if track.state in ("ready", "failed")
                else replace(track, state="failed", reason=STOPPED, beginning=None, peaks=[])
                for track in comparison.tracks
            ]
        comparison.drop_beginnings()
        try:
            save(comparison)  # before it is told to be ready: another process may then go on from what is kept
        except StorageError as problem:
            error = problem
        finally:
            with comparison.changing():
                comparison.work = replace(
                    comparison.work, phase=phase, busy=False, ahead=0, seconds_left=None, note="", error=error
                )
                if comparison.hold is not None:
                    comparison.hold.release()

    def _describe(self, comparison: Comparison, choices: Choices, kinds: frozenset[CaptionKind]) -> None:
        with comparison.changing():
            comparison.work.phase, comparison.work.seconds_left = "captions", None
        for event in self._pipeline.describe(
            comparison.sources,
            kinds=kinds,
            captioners={**profile_of(self._pipeline, choices).captioners, **choices.captioners},
            known=comparison.captions,
            prompts=choices.prompts,
            stop=comparison.stop,
        ):
            comparison.apply(event)
        save(comparison)

    def _score(self, comparison: Comparison, choices: Choices, options: ScoreOptions) -> None:
        kinds = [kind for kind in CaptionKind if kind in choices.kinds and kind in comparison.captions]
        if not kinds:
            reasons = " ".join(comparison.unavailable.values())
            raise PageError("need_captions", after=reasons)
        with comparison.changing():
            comparison.work.phase, comparison.work.seconds_left = "soundtracks", None
            comparison.planned_s = self._pipeline.score_duration(comparison.sources, options.duration_s)
            comparison.plan_tracks(kinds, options.takes, shuffle=comparison.blind)
        self._keep_original(comparison, options)
        for event in self._pipeline.score(
            comparison.sources,
            comparison.captions,
            comparison.folder / "results",
            kinds=frozenset(kinds),
            generator=choices.generator or profile_of(self._pipeline, choices).generator,
            options=options,
            stop=comparison.stop,
        ):
            comparison.apply(event)

    def _keep_original(self, comparison: Comparison, options: ScoreOptions) -> None:
        """Write what is heard without us, as loud as the soundtracks are, so that loudness decides nothing."""
        own = comparison.clip if comparison.clip.has_sound else comparison.reference
        if own is None:
            return
        duration_s = self._pipeline.score_duration(comparison.sources, options.duration_s)
        try:
            audio = media.read_audio(own, stereo=True, duration_s=duration_s)
            levelled, _ = media.normalize_loudness(audio.waveform, audio.sample_rate)
            path = comparison.folder / "original.wav"
            media.write_wav(path, levelled, audio.sample_rate)
            peaks = waveform_peaks(self._pipeline.probe(path))
        except MusisceneError as error:
            _log.warning("no original sound to compare with: %s", error)
            return
        with comparison.changing():
            comparison.original = {"peaks": peaks, "is_reference": own is comparison.reference}


def profile_of(pipeline: Pipeline, choices: Choices) -> Profile:
    """The profile that was chosen, else that of the application."""
    return choose(choices.profile, pipeline.pool.options) if choices.profile else pipeline.profile


def _set_waiting(comparison: Comparison, ahead: int) -> None:
    with comparison.changing():
        comparison.work.phase, comparison.work.ahead = "waiting", ahead
