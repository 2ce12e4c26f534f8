"""What a scene is, and the scenes we wrote (`scenes.json`, one a line)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

TEXTURES = ("solo", "sparse", "full")
"""How many voices a scene's music has, from few to many."""
ERAS = ("timeless", "past", "modern", "future")
MODES = ("major", "minor", "either")
STYLES = (
    "orchestral",
    "piano_ballad",
    "electronic_dance",
    "synthwave",
    "lofi",
    "rock",
    "folk",
    "bluegrass",
    "jazz",
    "bossa_nova",
    "latin",
    "reggae",
    "funk",
    "ambient",
    "horror",
    "march",
    "baroque",
    "trailer",
    "waltz",
    "world",
)
"""Names of musical styles that a scene may ask for, the best first."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene and where it lies.

    Arousal (calm to excited) and valence (unpleasant to pleasant) span the circumplex of Russell (1980, "A circumplex
    model of affect"); tension is the third axis of Schimmack & Grob (2000). The places are our own judgement.

    Attributes:
        id: Short name, unique.
        setting: A noun phrase that follows "a scene of".
        action: A clause with its own subject that follows "where" or "in which".
        feeling: A noun phrase that follows "with a feeling of".
        arousal: -1 (asleep) to 1 (frantic).
        valence: -1 (despair) to 1 (bliss).
        tension: -1 (at ease) to 1 (unbearable).
        tempo_bpm: Slowest and fastest pulse that fits, beats per minute.
        texture: One of `TEXTURES`.
        era: One of `ERAS`; "timeless" where the scene could happen at any time.
        mode: One of `MODES`: the mode that fits better.
        keywords: Single lower-case words a person may use for it.
        styles: Some of `STYLES`, the best first.
    """

    id: str
    setting: str
    action: str
    feeling: str
    arousal: float
    valence: float
    tension: float
    tempo_bpm: tuple[float, float]
    texture: str
    era: str
    mode: str
    keywords: tuple[str, ...]
    styles: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The scene in the paper's form of an MSI caption."""
        return (
            f"The music is suitable for a scene of {self.setting}, where {self.action}, "
            f"with a feeling of {self.feeling}."
        )


@cache
def all_scenes() -> tuple[Scene, ...]:
    """Every scene, always in the same order. Read once; scenes are immutable."""
    rows = json.loads(resources.files(__package__).joinpath("scenes.json").read_text(encoding="utf-8"))
    return tuple(
        Scene(
            **{
                **row,
                "tempo_bpm": (float(row["tempo_bpm"][0]), float(row["tempo_bpm"][1])),
                "keywords": tuple(row["keywords"]),
                "styles": tuple(row["styles"]),
            }
        )
        for row in rows
    )


@cache
def _by_id() -> dict[str, Scene]:
    return {one.id: one for one in all_scenes()}


def scene(scene_id: str) -> Scene | None:
    """The scene of that name, or None."""
    return _by_id().get(scene_id)
