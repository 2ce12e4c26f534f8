"""Everything that is measured of one clip's picture, put together."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from musiscene.captions._video.colour import Colour, measure_colour
from musiscene.captions._video.develop import Development, measure_development
from musiscene.captions._video.light import Light, measure_light
from musiscene.captions._video.look import Look, measure_look
from musiscene.captions._video.mood import Mood, guess_mood
from musiscene.captions._video.motion import Motion, measure_motion
from musiscene.captions._video.people import People, find_people
from musiscene.captions._video.reading import RATES, Reading, read
from musiscene.captions._video.shots import Cut, find_cuts
from musiscene.captions._video.strip import make_strip
from musiscene.types import Clip, Job

READING_SHARE = 0.85
"""Share of the time that reading takes, for progress."""
FEW_SHOTS = 12
"""So many are told apart surely also in a long film, of which few pictures a second are read."""


@dataclass(frozen=True)
class Picture:
    """What is known of a clip's picture; `seen_share` of its length was looked at."""

    duration_s: float
    seen_share: float
    cuts: tuple[Cut, ...]
    motion: Motion
    light: Light
    colour: Colour
    people: People
    look: Look
    development: Development
    mood: Mood
    strip: list[dict[str, object]]

    @property
    def shots(self) -> int:
        """Number of shots."""
        return len(self.cuts) + 1

    @property
    def cuts_unseen(self) -> int:
        """How many of the cuts lie in parts of a long film that were not looked at, and are told from around them."""
        return sum(not cut.seen for cut in self.cuts)

    @property
    def shots_are_estimated(self) -> bool:
        """Whether the number of shots is only about right: some cuts were not looked at, or all were read thinly."""
        return self.cuts_unseen > 0 or (self.duration_s > RATES[0][0] and self.shots > FEW_SHOTS)

    @property
    def shot_lengths_s(self) -> list[float]:
        """Length of each shot in seconds."""
        edges = [0.0, *(cut.time_s for cut in self.cuts), self.duration_s]
        return [max(0.0, b - a) for a, b in pairwise(edges)]

    @property
    def pace_cuts_per_min(self) -> float:
        """Cuts a minute."""
        return 60.0 * len(self.cuts) / self.duration_s if self.duration_s > 0 else 0.0

    def evidence(self) -> dict[str, Any]:
        """JSON-ready, with units in the names."""
        return {
            "duration_s": round(self.duration_s, 3),
            "seen_share": round(self.seen_share, 3),
            "shots": self.shots,
            "cuts_s": [round(cut.time_s, 3) for cut in self.cuts],
            "cut_kinds": [cut.kind for cut in self.cuts],
            "cuts_unseen": self.cuts_unseen,
            "shot_lengths_s": [round(length, 3) for length in self.shot_lengths_s],
            "pace_cuts_per_min": round(self.pace_cuts_per_min, 2),
            **self.motion.evidence(),
            **self.light.evidence(),
            **self.colour.evidence(),
            **self.people.evidence(),
            **self.look.evidence(),
            **self.development.evidence(),
            "arousal": round(self.mood.arousal, 3),
            "valence": round(self.mood.valence, 3),
            "strip": self.strip,
        }


def analyse(clip: Clip, job: Job) -> Picture:
    """Look at the whole picture of `clip`.

    Raises:
        UnreadableMediaError: No frame can be decoded.
        Stopped: `job` was stopped.
    """
    reading = read(clip, Job(lambda fraction, note: job.report(fraction * READING_SHARE, note), job.stop))
    job.progress(READING_SHARE, "Finding shots")
    return _put_together(reading, max(clip.duration_s, float(reading.times_s[-1])), job)


def _put_together(reading: Reading, duration_s: float, job: Job) -> Picture:
    # Faces take as long as all the rest, and OpenCV lets other threads run meanwhile.
    with ThreadPoolExecutor(1, "looking for people") as beside:
        searching = beside.submit(find_people, reading.kept, Job(stop=job.stop))
        cuts = find_cuts(reading, job)
        cuts_s = [cut.time_s for cut in cuts]
        motion = measure_motion(reading.steps, cuts_s, duration_s, in_parts=reading.share < 1.0)
        light = measure_light(reading.even_thumbs)
        colour = measure_colour(reading.even_thumbs, reading.kept)
        look = measure_look(reading)
        job.progress(0.9, "Looking for people")
        people = searching.result()
    development = measure_development(motion.curve, light.thirds, cuts_s, duration_s)
    mood = guess_mood(
        motion_level=motion.level,
        pace_cuts_per_min=60 * len(cuts) / max(duration_s, 1e-3) if duration_s > 2 else 0.0,
        brightness=light.brightness,
        contrast=light.contrast,
        warmth=colour.warmth,
        saturation=colour.saturation,
    )
    strip = make_strip(reading.kept, reading.kept_s)
    return Picture(
        duration_s, reading.share, tuple(cuts), motion, light, colour, people, look, development, mood, strip
    )
