"""One accent colour per caption kind, used by cards, players, plots and reports alike.

Each pair (light theme, dark theme) has a contrast of at least 4.5:1 on its background (white, #16181d).
"""

from __future__ import annotations

from dataclasses import dataclass

from musiscene.types import CaptionKind


@dataclass(frozen=True, slots=True)
class Accent:
    """A colour in both themes, as #rrggbb."""

    light: str
    dark: str


ACCENTS = {
    CaptionKind.VIDEO: Accent(light="#1f66c7", dark="#7ab2ff"),
    CaptionKind.MUSIC: Accent(light="#0b7a5d", dark="#4fd1a8"),
    CaptionKind.FUSION: Accent(light="#7a45c2", dark="#c09bff"),
    CaptionKind.MSI: Accent(light="#b34a12", dark="#ff9f68"),
}

TITLES = {
    CaptionKind.VIDEO: "Video",
    CaptionKind.MUSIC: "Music",
    CaptionKind.FUSION: "Fusion",
    CaptionKind.MSI: "Scene (MSI)",
}
"""What each kind is called on a page."""

EXPLANATIONS = {
    CaptionKind.VIDEO: "What is seen.",
    CaptionKind.MUSIC: "What is heard.",
    CaptionKind.FUSION: "Picture and sound, merged into one brief.",
    CaptionKind.MSI: "The scene that the sound alone evokes.",
}
"""One short sentence for each kind."""
