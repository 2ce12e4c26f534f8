"""Profiles: one backend per stage, by name; and which of them this machine should use."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeAlias

from musiscene.errors import UnknownBackendError
from musiscene.registry import BackendSpec, find_captioner, find_generator
from musiscene.types import CaptionKind

BackendOptions: TypeAlias = Mapping[str, Mapping[str, Any]]
"""What each backend's `load` is given, by its name."""


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

    def why_unavailable(self, options: BackendOptions) -> str | None:
        """Why this machine cannot run the profile with these `options`, and the next steps; None when it can."""
        reasons = [reason for spec in self.specs() if (reason := spec.why_unavailable(options.get(spec.name)))]
        return " ".join(reasons) or None


PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        "sketch": Profile(
            name="sketch",
            summary="Signal analysis and an arranger: no downloads, no GPU, seconds on two cores.",
            captioners=MappingProxyType(dict.fromkeys(CaptionKind, "sketch")),
            generator="sketch",
        ),
        "paper": Profile(
            name="paper",
            summary="The paper's networks: SwinBERT, MU-LLaMA, a language model, MusiScene and MusicGen.",
            captioners=MappingProxyType(
                {
                    CaptionKind.VIDEO: "swinbert",
                    CaptionKind.MUSIC: "mu-llama",
                    CaptionKind.FUSION: "llm",
                    CaptionKind.MSI: "mu-llama",
                }
            ),
            generator="musicgen",
        ),
    }
)
"""Profiles by name."""


def choose(name: str = "auto", options: BackendOptions | None = None) -> Profile:
    """The profile called `name`; "auto" takes the best that this machine can run and says why.

    The paper's networks are taken by themselves only where there is a GPU: on a processor a comparison takes minutes,
    which a person should ask for.

    Args:
        name: Of a profile, or "auto".
        options: What each backend is loaded with, by its name; it says where weights are.

    Raises:
        UnknownBackendError: No profile has that name.
    """
    if name != "auto":
        if name not in PROFILES:
            raise UnknownBackendError(
                f"There is no profile named {name!r}. Choose one of: auto, {', '.join(sorted(PROFILES))}."
            )
        return PROFILES[name]
    if _is_elsewhere(PROFILES["paper"], options or {}):
        return replace(PROFILES["paper"], reason="paper, because another machine has its networks")
    if importlib.util.find_spec("torch") is None:
        return replace(PROFILES["sketch"], reason="sketch, because PyTorch is not installed here")
    if PROFILES["paper"].why_unavailable(options or {}):
        return replace(PROFILES["sketch"], reason="sketch, because the paper's weights are not all set up here")
    import torch  # seconds; only where everything else is there

    if not torch.cuda.is_available():
        return replace(PROFILES["sketch"], reason="sketch, because there is no GPU here for the paper's networks")
    return replace(PROFILES["paper"], reason="paper, because its weights and a GPU are here")


def _is_elsewhere(profile: Profile, options: BackendOptions) -> bool:
    """Whether other machines do the heavy work of the profile, and nothing of it needs a network's packages here."""
    given = [(spec, options.get(spec.name)) for spec in profile.specs()]
    return any(spec.is_elsewhere(its) for spec, its in given) and all(
        spec.is_elsewhere(its) or (not spec.packages and spec.why_unavailable(its) is None) for spec, its in given
    )
