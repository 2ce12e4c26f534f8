"""Profiles: one backend per stage, by name; and which of them this machine should use."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from musiscene.errors import UnknownBackendError
from musiscene.registry import BackendSpec, find_captioner, find_generator
from musiscene.types import CaptionKind


@dataclass(frozen=True, slots=True)
class Profile:
    """One backend per stage.

    Attributes:
        name: What it is called on the page and the command line.
        summary: One sentence on what it takes and gives.
        captioners: Kind of caption -> name of the backend that writes it.
        generator: Name of the music generator.
        reason: Why this profile was picked; empty when a person named it.
    """

    name: str
    summary: str
    captioners: Mapping[CaptionKind, str]
    generator: str
    reason: str = ""

    def specs(self) -> tuple[BackendSpec, ...]:
        """Every backend of this profile, each once.

        Raises:
            UnknownBackendError: One is not in this installation.
        """
        specs = [find_captioner(kind, name) for kind, name in self.captioners.items()]
        specs.append(find_generator(self.generator))
        return tuple({id(spec): spec for spec in specs}.values())

    def why_unavailable(self) -> str | None:
        """Why this machine cannot run the profile, with the next step; None when it can."""
        try:
            reasons = [reason for spec in self.specs() if (reason := spec.why_unavailable())]
        except UnknownBackendError as error:
            return str(error)
        return " ".join(reasons) or None


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "sketch": Profile(
            name="sketch",
            summary="Signal analysis and an arranger: no downloads, no GPU, seconds on two cores.",
            captioners=MappingProxyType(dict.fromkeys(CaptionKind, "sketch")),
            generator="sketch",
        ),
    }
)
"""Profiles by name. A profile is added with the last of the backends that it names."""


def choose(name: str = "auto") -> Profile:
    """The profile called `name`; "auto" takes the best that this machine can run and says why.

    Raises:
        UnknownBackendError: No profile has that name.
    """
    if name != "auto":
        if name not in PROFILES:
            raise UnknownBackendError(
                f"There is no profile named {name!r}. Choose one of: auto, {', '.join(sorted(PROFILES))}."
            )
        return PROFILES[name]
    sketch = PROFILES["sketch"]
    return Profile(sketch.name, sketch.summary, sketch.captioners, sketch.generator, reason=_why_sketch())


def _why_sketch() -> str:
    if importlib.util.find_spec("torch") is None:
        return "sketch, because PyTorch is not installed here"
    return "sketch, because no model weights are set up here"
