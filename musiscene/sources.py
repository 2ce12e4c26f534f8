"""What of the given files is looked at, and what is listened to."""

from __future__ import annotations

from dataclasses import dataclass

from musiscene.errors import MissingStreamError
from musiscene.types import Clip


@dataclass(frozen=True, slots=True)
class Sources:
    """What is looked at and what is listened to.

    Attributes:
        picture: The clip whose picture is described and scored; None for a track alone.
        sound: The reference track, else the clip itself when it has something to hear; else None.
        silence: Why there is no sound; empty when there is.
    """

    picture: Clip | None
    sound: Clip | None
    silence: str = ""

    @property
    def main(self) -> Clip:
        """The clip that the results belong to."""
        clip = self.picture or self.sound
        assert clip is not None, "open_sources() refuses a pair with neither picture nor sound"
        return clip


def open_sources(clip: Clip, track: Clip | None = None) -> Sources:
    """Decide what is looked at and what is listened to.

    Raises:
        MissingStreamError: There is neither a picture nor a sound, or the reference track has no sound.
    """
    picture = clip if clip.has_video else None
    if track is not None:
        if not track.has_audio:
            raise MissingStreamError(f"{track.path.name} has no sound, so it cannot be the reference music.")
        if track.audio_silent:
            raise MissingStreamError(f"{track.path.name} is digital silence, so it cannot be the reference music.")
        return Sources(picture, track)
    if clip.has_sound:
        return Sources(picture, clip)
    silence = "its audio track is digital silence" if clip.has_audio else "it has no audio track"
    if picture is None:
        raise MissingStreamError(f"There is nothing to describe in {clip.path.name}: it has no picture, and {silence}.")
    return Sources(picture, None, silence)
