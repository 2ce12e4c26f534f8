"""What can run here, looked at now and then: weights may arrive while the page is open."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from musiscene.registry import BackendSpec, Pool, discover
from musiscene.types import CaptionKind

LOOK_AGAIN_S = 5.0
"""So long one look holds; a view is made many times a second."""


@dataclass
class Availability:
    """Remembers for a few seconds whether backends can run."""

    pool: Pool
    _seen: dict[int, tuple[float, str]] = field(default_factory=dict, repr=False)

    def why_not(self, spec: BackendSpec) -> str:
        """Why `spec` cannot run here, and the next step; empty when it can."""
        now = time.monotonic()
        seen = self._seen.get(id(spec))  # specs are module-level constants
        if seen is None or now - seen[0] > LOOK_AGAIN_S:
            seen = self._seen[id(spec)] = (now, self.pool.why_unavailable(spec) or "")
        return seen[1]

    def answerer(self) -> tuple[BackendSpec | None, str]:
        """Who answers questions about the music, and what it lacks: the first that can run, else the first."""
        found = [(spec, self.why_not(spec)) for spec in discover("captions") if spec.answers]
        return next((each for each in found if not each[1]), found[0] if found else (None, ""))

    def scene_painter(self) -> tuple[BackendSpec | None, str]:
        """Who imagines a scene from the picture alone, for clips without sound, and what it lacks."""
        found = [
            (spec, self.why_not(spec))
            for spec in discover("captions")
            if CaptionKind.MSI in spec.produces and spec.needs == {CaptionKind.VIDEO} and not spec.needs_sound
        ]
        return next((each for each in found if not each[1]), found[0] if found else (None, ""))
