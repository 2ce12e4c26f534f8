"""Picture and music of a run's clips: measured by the sketch captioners, kept on disk, pooled by system."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musiscene.errors import MusisceneError, Stopped, StorageError
from musiscene.metrics.picture_music import (
    Alignment,
    Correlation,
    cut_alignment,
    energy_motion_correlation,
    level_curve,
    pool_alignments,
    pool_correlations,
)
from musiscene.metrics.sound_files import Failure, file_facts, read_mono
from musiscene.settings import Settings
from musiscene.types import CaptionKind, Job

if TYPE_CHECKING:
    from musiscene.evaluation import Run


VERSION = 1
"""Of what is measured; another one measures everything anew."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known of a clip's picture.

    Attributes:
        duration_s: Its length, in seconds.
        cuts_s: Times of its cuts.
        motion: How much moves, evenly spaced.
    """

    duration_s: float
    cuts_s: tuple[float, ...]
    motion: tuple[float, ...]

    @classmethod
    def of(cls, evidence: Mapping[str, Any], duration_s: float) -> Sight | None:
        """From the evidence of a sketch video caption; None where there is none."""
        if "cuts_s" not in evidence or "motion_curve" not in evidence:
            return None
        return cls(duration_s, tuple(evidence["cuts_s"]), tuple(evidence["motion_curve"]))


@dataclass(frozen=True, slots=True)
class Together:
    """One soundtrack on one picture; None where there is nothing to measure.

    Attributes:
        alignment: Of cuts and beats.
        correlation: Of energy and motion.
    """

    alignment: Alignment | None
    correlation: Correlation | None

    def as_dict(self) -> dict[str, Any]:
        """JSON layout."""
        return {
            "rhythm_to_cut": self.alignment.as_dict() if self.alignment else None,
            "energy_to_motion": self.correlation.as_dict() if self.correlation else None,
        }


def look(video: Path, settings: Settings, job: Job) -> Sight | None:
    """What is seen in a clip, by the sketch video captioner; None when it has no picture."""
    from musiscene import api

    described = api.caption(
        video, kinds=frozenset({CaptionKind.VIDEO}), profile="sketch", settings=settings, stop=job.stop
    )
    caption = described.captions.get(CaptionKind.VIDEO)
    return None if caption is None else Sight.of(caption.evidence, described.clip.duration_s)


def together(sight: Sight, music: Path, settings: Settings, job: Job) -> Together:
    """How a soundtrack goes with a picture. Beats are those that the sketch music captioner hears.

    Raises:
        MusisceneError: The sound cannot be read.
        Stopped: `job` was stopped.
    """
    from musiscene import api

    mono = read_mono(music, job, settings.limits)
    duration_s = min(sight.duration_s, mono.duration_s)
    beats: tuple[float, ...] = ()
    if sight.cuts_s:
        described = api.caption(
            music, kinds=frozenset({CaptionKind.MUSIC}), profile="sketch", settings=settings, stop=job.stop
        )
        caption = described.captions.get(CaptionKind.MUSIC)
        beats = tuple(caption.evidence.get("beats_s") or ()) if caption else ()
    heard = mono.cut(duration_s)
    motion = sight.motion[: max(2, round(len(sight.motion) * duration_s / max(sight.duration_s, 1e-6)))]
    return Together(
        cut_alignment(sight.cuts_s, beats, duration_s),
        energy_motion_correlation(tuple(level_curve(heard.samples, heard.sample_rate)), motion, duration_s),
    )


def evaluate_pictures(
    run: Run, settings: Settings, *, store: Path | None = None, seed: int = 0, job: Job | None = None
) -> dict[str, Any]:
    """Rhythm-to-cut alignment and energy-to-motion correlation of every system, and of the reference music.

    Raises:
        StorageError: What was measured cannot be stored.
        Stopped: `job` was stopped; what was measured is kept in `store`.
    """
    job = job or Job()
    systems = dict(run.music)
    if run.reference_music:
        systems["reference"] = run.reference_music
    found: dict[str, list[tuple[str, Together]]] = {system: [] for system in systems}
    failures: list[Failure] = []
    for index, (clip, video) in enumerate(sorted(run.pictures.items())):
        job.progress(index / len(run.pictures), f"{index} of {len(run.pictures)} pictures")
        try:
            sight = _kept_sight(store, video, settings, job)
        except Stopped:
            raise
        except MusisceneError as error:
            failures.append(Failure(clip, video, str(error)))
            continue
        if sight is None:
            continue
        for system, sounds in systems.items():
            for sound in sounds:
                if sound.name != clip:
                    continue
                try:
                    measured = _kept_together(store, sight, video, sound.path, settings, job)
                    found[system].append((clip, measured))
                except Stopped:
                    raise
                except MusisceneError as error:
                    failures.append(Failure(clip, sound.path, str(error)))
    return {
        "systems": [_pooled(system, rows, seed) for system, rows in found.items() if rows],
        "skipped": [failure.as_dict() for failure in failures],
    }


def _pooled(system: str, rows: Sequence[tuple[str, Together]], seed: int) -> dict[str, Any]:
    alignment = pool_alignments([row.alignment for _, row in rows if row.alignment], seed=seed)
    correlation = pool_correlations([row.correlation for _, row in rows if row.correlation], seed=seed)
    return {
        "system": system,
        "clips": len(rows),
        "rhythm_to_cut": alignment.as_dict() if alignment else None,
        "energy_to_motion": correlation.as_dict() if correlation else None,
        "by_clip": {clip: row.as_dict() for clip, row in rows},
    }


def _kept_sight(store: Path | None, video: Path, settings: Settings, job: Job) -> Sight | None:
    def measure() -> dict[str, Any] | None:
        seen = look(video, settings, job)
        return None if seen is None else asdict(seen)

    kept = _kept(store, "sight", (video,), measure)
    return None if kept is None else Sight(kept["duration_s"], tuple(kept["cuts_s"]), tuple(kept["motion"]))


def _kept_together(
    store: Path | None, sight: Sight, video: Path, music: Path, settings: Settings, job: Job
) -> Together:
    kept = _kept(store, "together", (video, music), lambda: asdict(together(sight, music, settings, job)))
    aligned, related = kept["alignment"], kept["correlation"]
    return Together(Alignment(**aligned) if aligned else None, Correlation(**related) if related else None)


def _kept(store: Path | None, what: str, files: Sequence[Path], measure: Callable[[], Any]) -> Any:
    """What `measure` gives as JSON, kept under the facts of the files; measured anew when one of them has changed."""
    try:
        facts = [file_facts(path) for path in files]
    except OSError:
        return measure()  # whoever reads the file says what is wrong with it
    if store is None:
        return measure()
    name = hashlib.sha256(json.dumps([what, VERSION, facts]).encode()).hexdigest()
    path = store / name[:2] / f"{name}.json"
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        pass
    found = measure()
    from musiscene.media import atomic_path

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as part:
            part.write_text(json.dumps(found), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}.") from error
    return found
