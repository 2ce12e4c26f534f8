"""What this machine can run: packages, codecs, memory, disk, backends; and what to do about what is missing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from musiscene import __version__
from musiscene.backend_options import backend_options
from musiscene.profiles import PROFILES, BackendOptions, choose
from musiscene.registry import ELSEWHERE, BackendSpec, discover
from musiscene.remote.backends import OtherMachine
from musiscene.settings import Settings

ENCODERS = {"libx264": "H.264 video", "aac": "AAC sound"}
DECODERS = {
    "h264": "H.264", "hevc": "H.265", "vp8": "VP8", "vp9": "VP9", "libdav1d": "AV1", "mpeg4": "MPEG-4",
    "aac": "AAC", "mp3": "MP3", "opus": "Opus", "vorbis": "Vorbis", "flac": "FLAC",
}  # fmt: skip
EXTRAS = {
    "models": ("torch", "transformers", "accelerate", "peft"),
    "edit": ("moviepy",),
    "train": ("datasets",),
    "metrics": ("nltk", "rouge_score", "sacrebleu", "bert_score"),
    "postgres": ("psycopg",),
    "ray": ("ray",),
    "mcp": ("mcp",),
}
"""Optional-dependency group -> the import names that it brings."""

LOW_DISK_GB = 2.0


@dataclass(frozen=True, slots=True)
class Check:
    """One fact about this machine.

    Attributes:
        name: What was looked at.
        ok: Fine (True), broken (False), or merely absent and optional (None).
        detail: What was found.
        todo: The next step; empty when there is nothing to do.
    """

    name: str
    ok: bool | None
    detail: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What this machine can run."""

    version: str
    profile: str
    reason: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether the profile in use works here."""
        return all(check.ok is not False for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """The JSON layout of `musiscene doctor --json`."""
        return {
            "version": self.version,
            "ok": self.ok,
            "profile": self.profile,
            "reason": self.reason,
            "checks": [
                {"name": check.name, "ok": check.ok, "detail": check.detail, "todo": check.todo}
                for check in self.checks
            ],
        }


def examine(settings: Settings) -> Report:
    """Look at this machine.

    Raises:
        UnknownBackendError: The settings name a profile that there is not.
        ConfigError: The settings of the language model cannot be used.
    """
    options = backend_options(settings)
    profile = choose(settings.profile, options)
    checks = [
        Check("Python", True, f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        _memory(),
        _accelerator(),
        _disk("Data folder", settings.data_dir),
        _disk("Work folder", settings.work_dir),
        _codecs(),
        _soundfont(settings),
        _ratings(settings),
    ]
    if settings.backend_url:
        checks.append(_backend_server(settings, options))
    checks += [_profile(name, options) for name in PROFILES]
    checks += [
        _backend(spec, stage, options.get(spec.name))
        for stage in ("captions", "soundtracks")
        for spec in discover(stage)
    ]
    checks += [_extra(name, imports) for name, imports in EXTRAS.items()]
    return Report(
        __version__, profile.name, profile.reason or f"{profile.name}, because it was asked for", tuple(checks)
    )


def _memory() -> Check:
    cores = os.cpu_count() or 1
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return Check("Processor", True, f"{cores} cores")
    total_gb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    return Check("Processor and memory", True, f"{cores} cores, {total_gb:.1f} GB")


def _accelerator() -> Check:
    if importlib.util.find_spec("torch") is None:
        return Check("Accelerator", None, "PyTorch is not installed", "Only the neural backends need it.")
    import torch

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return Check("Accelerator", True, f"{properties.name}, {properties.total_memory / 1e9:.0f} GB")
    if torch.backends.mps.is_available():
        return Check("Accelerator", True, "Apple GPU (MPS)")
    return Check("Accelerator", None, f"none; PyTorch {torch.__version__} runs on the processor")


def _disk(name: str, folder: Path) -> Check:
    existing = next(parent for parent in [folder, *folder.parents] if parent.exists())
    if not os.access(existing, os.W_OK):
        variable = "MUSISCENE_DATA_DIR" if name.startswith("Data") else "MUSISCENE_WORK_DIR"
        return Check(name, False, f"{folder} cannot be written", f"Set {variable} to a folder that can.")
    free_gb = shutil.disk_usage(existing).free / 1e9
    todo = "" if free_gb >= LOW_DISK_GB else "Free some space: results and weights are written there."
    return Check(name, free_gb >= LOW_DISK_GB or None, f"{folder}, {free_gb:.1f} GB free", todo)


def _codecs() -> Check:
    from av.codec import codecs_available  # a tenth of a second that a mere import of the package need not cost

    missing = [shown for name, shown in {**ENCODERS, **DECODERS}.items() if name not in codecs_available]
    if not missing:
        return Check("Codecs", True, f"PyAV reads and writes everything needed ({len(codecs_available)} codecs)")
    fatal = any(name not in codecs_available for name in ENCODERS)
    return Check("Codecs", False if fatal else None, f"missing: {', '.join(missing)}", "Run `pip install -U av`.")


def _soundfont(settings: Settings) -> Check:
    if settings.soundfont is None:
        return Check("SoundFont", True, "General MIDI, from pretty_midi")
    if settings.soundfont.is_file():
        return Check("SoundFont", True, str(settings.soundfont))
    return Check(
        "SoundFont", False, f"{settings.soundfont} is not there", "Correct MUSISCENE_SOUNDFONT, or leave it empty."
    )


def _ratings(settings: Settings) -> Check:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        shown = make_url(settings.ratings_url).render_as_string(hide_password=True)
    except ArgumentError:
        return Check("Ratings", False, "MUSISCENE_DATABASE_URL is not a database address", "See docs/running.md.")
    return Check("Ratings", True, shown)


def _backend_server(settings: Settings, options: BackendOptions) -> Check:
    other: OtherMachine = options["sketch"][ELSEWHERE]
    catalogue = other.server.catalogue()
    if catalogue is None:
        reason = other.why_not().removesuffix(".")
        todo = "Start `python -m musiscene.serve_ray` there, or correct MUSISCENE_BACKEND_URL: docs/scaling.md."
        return Check("Backend server", False, f"{reason} ({other.server.shown})", todo)
    names = ", ".join(sorted({offer.name for offer in catalogue.offers}))
    return Check("Backend server", True, f"{catalogue.server}, MusiScene {catalogue.version}: {names}")


def _profile(name: str, options: BackendOptions) -> Check:
    missing = PROFILES[name].why_unavailable(options)
    reason = "" if missing is None else "Not all of its backends can run here; each says below what it lacks."
    return Check(f"Profile {name}", None if reason else True, PROFILES[name].summary, reason or "")


def _backend(spec: BackendSpec, stage: str, options: Mapping[str, Any] | None) -> Check:
    what = ", ".join(kind.value for kind in sorted(spec.produces)) or "soundtracks"
    reason = spec.why_unavailable(options)
    memory = f" It takes {spec.vram_gb:g} GB on a GPU." if spec.vram_gb else ""
    return Check(f"Backend {spec.name} ({what})", None if reason else True, f"{spec.summary}{memory}", reason or "")


def _extra(name: str, imports: tuple[str, ...]) -> Check:
    missing = [module for module in imports if importlib.util.find_spec(module) is None]
    if missing:
        return Check(f"Extra {name}", None, f"lacks {', '.join(missing)}", f"Run `pip install 'musiscene[{name}]'`.")
    versions = ", ".join(f"{module} {_version(module)}" for module in imports)
    return Check(f"Extra {name}", True, versions)


def _version(module: str) -> str:
    try:
        return importlib.metadata.version(module)
    except importlib.metadata.PackageNotFoundError:
        return "installed"
