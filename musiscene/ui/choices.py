"""What a person chose under Settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from musiscene.pipeline import ALL_KINDS
from musiscene.types import CaptionKind, Mix
from musiscene.ui.texts import PageError

PROMPTED = (CaptionKind.FUSION, CaptionKind.MSI)
"""Captions that a language model can write, so that its prompt can be chosen."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person chose under Settings.

    Attributes:
        kinds: Captions to make.
        duration_s: Length of the music; None for the clip's own.
        seed: Of the music; None for a new one.
        takes: Soundtracks per caption.
        mix: What happens to the clip's own sound.
        music_gain_db: Level of the music beside it.
        captioners: Kind -> backend, where it differs from the profile.
        generator: The music generator, where it differs from the profile.
        profile: Name of the profile, where it is not that of the installation.
        prompts: Kind -> what a language model is asked, where a person chose or changed it.
        blind: Hide which is which until all are rated.
        melody: The music follows the tune of the reference track, or of the clip's own sound.
    """

    kinds: frozenset[CaptionKind] = ALL_KINDS
    duration_s: float | None = None
    seed: int | None = None
    takes: int = 1
    mix: Mix = Mix.REPLACE
    music_gain_db: float = 0.0
    captioners: Mapping[CaptionKind, str] = field(default_factory=dict)
    generator: str | None = None
    profile: str = ""
    prompts: Mapping[CaptionKind, str] = field(default_factory=dict)
    blind: bool = False
    melody: bool = False

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, for the manifest and for the browser's history."""
        return {
            "kinds": [kind.value for kind in CaptionKind if kind in self.kinds],
            "duration_s": self.duration_s,
            "locked": self.seed is not None,
            "takes": self.takes,
            "mix": self.mix.value,
            "music_gain_db": self.music_gain_db,
            "captioners": {kind.value: name for kind, name in self.captioners.items()},
            "generator": self.generator,
            "profile": self.profile,
            "prompts": {kind.value: prompt for kind, prompt in self.prompts.items()},
            "blind": self.blind,
            "melody": self.melody,
        }

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> Choices:
        """The choices that `as_dict` wrote; the seed is not among them."""
        return cls(
            kinds=frozenset(CaptionKind(kind) for kind in options.get("kinds", CaptionKind)),
            duration_s=options.get("duration_s"),
            takes=options.get("takes", 1),
            mix=Mix(options.get("mix", Mix.REPLACE)),
            music_gain_db=options.get("music_gain_db", 0.0),
            captioners={CaptionKind(kind): name for kind, name in options.get("captioners", {}).items()},
            generator=options.get("generator"),
            profile=options.get("profile", ""),
            prompts={CaptionKind(kind): prompt for kind, prompt in options.get("prompts", {}).items()},
            blind=bool(options.get("blind")),
            melody=bool(options.get("melody")),
        )


def read_choices(settings: tuple[Any, ...]) -> Choices:
    """The values of the settings' fields, in the order of `SettingsPanel.fields`.

    Raises:
        RequestError: One cannot be used; the message names it.
    """
    kinds, duration, seed, lock, takes, mix, gain, blind, profile, generator, melody, *rest = settings
    captioners, prompts = rest[: len(CaptionKind)], rest[len(CaptionKind) :]
    seed_value: int | None = None
    if lock:
        if seed is None or not float(seed).is_integer() or not 0 <= seed < 2**31:
            raise PageError("bad_seed", largest=2**31 - 1)
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
        profile=str(profile or ""),
        prompts={
            kind: str(prompt).strip()
            for kind, prompt in zip(PROMPTED, prompts, strict=True)
            if str(prompt or "").strip()
        },
        blind=bool(blind),
        melody=bool(melody),
    )
