"""Backends: what exists, what each needs, and loading each at most once.

A backend is one file (or sub-package) in `musiscene/captions/` or `musiscene/soundtracks/` with a module-level `SPEC`.
Nothing heavy is imported by it: `SPEC.load` imports what it needs when it is called.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Protocol, runtime_checkable

from musiscene.errors import BackendUnavailableError, UnknownBackendError
from musiscene.types import Caption, CaptionKind, CaptionRequest, Job, ScoreRequest, Soundtrack

STAGES = {"captions": "musiscene.captions", "soundtracks": "musiscene.soundtracks"}
"""Name of a replaceable stage -> the package whose modules are its backends."""


@runtime_checkable
class Captioner(Protocol):
    """Writes captions."""

    def describe(self, request: CaptionRequest, job: Job) -> Iterator[Caption]:
        """Yield one caption for each of `request.kinds`, each as soon as it is ready.

        Raises:
            MusisceneError: It cannot be written; the message says why and what to do.
            Stopped: `job` was stopped.
        """
        ...


@runtime_checkable
class MusicGenerator(Protocol):
    """Makes music from words."""

    def generate(self, requests: Sequence[ScoreRequest], job: Job) -> Iterator[Soundtrack]:
        """Yield one soundtrack for each request, in their order, each as soon as it is ready.

        A soundtrack has exactly `round(request.duration_s * sample_rate)` samples. Its level is free: the pipeline
        sets the loudness.

        Raises:
            MusisceneError: It cannot be made; the message says why and what to do.
            Stopped: `job` was stopped.
        """
        ...


@runtime_checkable
class ManyCaptioner(Captioner, Protocol):
    """Writes the captions of several people's clips in one batch."""

    def describe_many(self, requests: Sequence[CaptionRequest], job: Job) -> Iterator[tuple[int, Caption]]:
        """Yield each caption with the number of its request; it is the one that `describe` writes for it alone.

        Raises:
            MusisceneError: One of them cannot be written, which ends them all.
            Stopped: `job` was stopped.
        """
        ...


class Elsewhere(Protocol):
    """Another machine that has backends. In a backend's options it is called "elsewhere"."""

    def offers(self, spec: BackendSpec) -> bool:
        """Whether it runs this backend."""
        ...

    def why_not(self) -> str:
        """Why nothing can be had of it now, and the next step; empty when it answers."""
        ...

    def load(self, spec: BackendSpec, here: Callable[[], Any] | None) -> Any:
        """What does the work of `spec` over there.

        Args:
            spec: One that it offers.
            here: Loads the same backend on this machine, where that costs nothing; used when the other fails.
        """
        ...


ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """What is known of a backend without loading it.

    Attributes:
        name: Short name, unique for its stage and kind ("sketch", "mu-llama", "musicgen").
        load: Makes the backend ready; slow and memory-hungry things happen here and nowhere else. It is given the
            `Pool`'s options for this backend (empty by default).
        summary: One sentence for the page and `doctor`.
        produces: The captions it writes; empty for a music generator.
        needs: The captions that must exist first.
        needs_picture: It looks at the clip's picture.
        needs_sound: It listens to the clip's sound.
        extra: The optional-dependency group to install; empty when the core is enough.
        packages: Import names that must be found for it to run.
        repo_id: Where the published weights are, if any.
        revision: Their pinned revision.
        license: Licence of the weights (or of the code, for a backend without weights).
        vram_gb: Memory needed on the accelerator; 0 when it runs well on a CPU.
        answers: Its captioner has `ask(clip, question, *, seed, job)` too, which yields an answer piece by piece.
        follows_melody: Its generator may be given a clip whose tune the music is to follow.
        unavailable: Says why it cannot run here, or None when it can; cheap, called for listings.
        missing_weights: Given the `Pool`'s options for this backend, says which weights are lacking and what to do, or
            None when they are there; cheap too.
    """

    name: str
    load: Callable[[Mapping[str, Any]], Any]
    summary: str
    produces: frozenset[CaptionKind] = frozenset()
    needs: frozenset[CaptionKind] = frozenset()
    needs_picture: bool = False
    needs_sound: bool = False
    extra: str = ""
    packages: tuple[str, ...] = ()
    repo_id: str = ""
    revision: str = ""
    license: str = "MIT"
    vram_gb: float = 0.0
    answers: bool = False
    follows_melody: bool = False
    unavailable: Callable[[], str | None] | None = None
    missing_weights: Callable[[Mapping[str, Any]], str | None] | None = None

    @property
    def is_light(self) -> bool:
        """Whether it is there at once on any machine: no network, and no packages beside the core's."""
        return not self.packages and not self.vram_gb

    def is_elsewhere(self, options: Mapping[str, Any] | None) -> bool:
        """Whether another machine runs it, as `options` say."""
        other: Elsewhere | None = (options or {}).get(ELSEWHERE)
        return other is not None and other.offers(self)

    def why_unavailable(self, options: Mapping[str, Any] | None = None) -> str | None:
        """Why this backend cannot be used with these `options`, and the next step; None when it can."""
        if self.is_elsewhere(options):
            return None
        reason = self.why_not_here(own_options(options))
        other: Elsewhere | None = (options or {}).get(ELSEWHERE)
        if reason and other is not None and not self.is_light and (silent := other.why_not()):
            return f"{silent} {reason}"
        return reason

    def why_not_here(self, options: Mapping[str, Any] | None = None) -> str | None:
        """Why this machine itself cannot run it with these `options`, and the next step; None when it can."""
        missing = [name for name in self.packages if importlib.util.find_spec(name) is None]
        if missing:
            return f"{self.name} needs {', '.join(missing)}: run `pip install 'musiscene[{self.extra}]'`."
        reason = self.unavailable() if self.unavailable else None
        if reason is None and self.missing_weights:
            reason = self.missing_weights(options or {})
        return reason


def own_options(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """`options` without the other machine: what a backend's own `load` knows."""
    return {name: value for name, value in (options or {}).items() if name != ELSEWHERE}


@cache
def discover(stage: str) -> tuple[BackendSpec, ...]:
    """All backends of a stage ("captions" or "soundtracks"), found by scanning its folder.

    Modules whose name starts with an underscore are not backends.
    """
    package = importlib.import_module(STAGES[stage])
    found: list[BackendSpec] = []
    for module_info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        if module_info.name.startswith("_"):
            continue
        spec = getattr(importlib.import_module(f"{package.__name__}.{module_info.name}"), "SPEC", None)
        if isinstance(spec, BackendSpec):
            found.append(spec)
    return tuple(found)


def find_captioner(kind: CaptionKind, name: str) -> BackendSpec:
    """The captioner called `name` that writes captions of `kind`.

    Raises:
        UnknownBackendError: There is none; the message lists those there are.
    """
    choices = {spec.name: spec for spec in discover("captions") if kind in spec.produces}
    return _pick(choices, name, f"captioner for the {kind} caption")


def find_generator(name: str) -> BackendSpec:
    """The music generator called `name`.

    Raises:
        UnknownBackendError: There is none; the message lists those there are.
    """
    return _pick({spec.name: spec for spec in discover("soundtracks")}, name, "music generator")


def _pick(choices: Mapping[str, BackendSpec], name: str, what: str) -> BackendSpec:
    try:
        return choices[name]
    except KeyError:
        raise UnknownBackendError(
            f"There is no {what} named {name!r}. Choose one of: {', '.join(sorted(choices)) or 'none is installed'}."
        ) from None


@dataclass
class Pool:
    """Loaded backends, each loaded once, under a lock, when it is first used.

    One pool belongs to one application; `options` maps a backend's name to what its `load` is given.
    """

    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    _loaded: dict[int, Any] = field(default_factory=dict, repr=False)
    _locks: dict[int, threading.Lock] = field(default_factory=dict, repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def captioner(self, spec: BackendSpec) -> Captioner:
        """The loaded captioner of `spec`.

        Raises:
            BackendUnavailableError: It cannot run here.
        """
        loaded: Captioner = self._get(spec)
        return loaded

    def generator(self, spec: BackendSpec) -> MusicGenerator:
        """The loaded music generator of `spec`.

        Raises:
            BackendUnavailableError: It cannot run here.
        """
        loaded: MusicGenerator = self._get(spec)
        return loaded

    def is_loaded(self, spec: BackendSpec) -> bool:
        """Whether `spec` is ready to be used; loading it for the first time may take a minute."""
        return id(spec) in self._loaded or spec.is_elsewhere(self.options.get(spec.name))

    def why_unavailable(self, spec: BackendSpec) -> str | None:
        """Why `spec` cannot run here with this pool's options, and the next step; None when it can."""
        return spec.why_unavailable(self.options.get(spec.name))

    def _get(self, spec: BackendSpec) -> Any:
        options = self.options.get(spec.name)
        if options and spec.is_elsewhere(options):
            return options[ELSEWHERE].load(spec, partial(self._get_here, spec) if spec.is_light else None)
        return self._get_here(spec)

    def _get_here(self, spec: BackendSpec) -> Any:
        key = id(spec)  # specs are module-level constants; two stages may use one name
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._loaded:
                reason = self.why_unavailable(spec)
                if reason:
                    raise BackendUnavailableError(reason)
                self._loaded[key] = spec.load(own_options(self.options.get(spec.name)))
            return self._loaded[key]
