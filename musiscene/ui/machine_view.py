"""What this machine can run, as the page tells it: profiles and engines, what they cost, and the next step.

No path of the machine is told, and nothing heavy is imported to find out: PyTorch would take seconds and memory.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from musiscene.pipeline import Pipeline
from musiscene.profiles import PROFILES, Profile
from musiscene.published import MANIFEST, Weights
from musiscene.registry import BackendSpec, discover, find_captioner, find_generator
from musiscene.settings import Settings
from musiscene.types import CaptionKind
from musiscene.ui.availability import Availability
from musiscene.ui.texts import ENGLISH, Texts, fill, title_of
from musiscene.ui.view import View

_BESIDE = {"mu-llama": ("mu-llama", "mert-v1-330m", "llama-2-7b-chat-hf"), "swinbert": ("swinbert-vatex",)}
"""Backends that need more weights than those of their own repository, or none that can be downloaded."""


def machine_view(pipeline: Pipeline, availability: Availability, texts: Texts = ENGLISH) -> View:
    """Facts of the machine, every profile with its engines, and the engines that no profile uses."""
    profiles = [_profile_view(profile, pipeline, availability, texts) for profile in PROFILES.values()]
    used = {id(spec) for profile in PROFILES.values() for spec in profile.specs()}
    others = [spec for stage in ("captions", "soundtracks") for spec in discover(stage) if id(spec) not in used]
    return {
        "facts": _facts(pipeline.settings, texts),
        "profiles": profiles,
        "others": [_engine_view(spec, _kinds(spec), pipeline, availability, texts) for spec in others],
    }


def _facts(settings: Settings, texts: Texts) -> list[list[str]]:
    facts = [[texts["machine_processor"], fill(texts["machine_cores"], n=os.cpu_count() or 1)]]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory_gb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
        facts.append([texts["machine_memory"], f"{memory_gb:.0f} GB"])
    facts.append([texts["machine_gpu"], _gpus() or texts["machine_no_gpu"]])
    there = importlib.util.find_spec("torch") is not None
    facts.append([texts["machine_torch"], importlib.metadata.version("torch") if there else texts["machine_no_torch"]])
    folder = next(parent for parent in [settings.data_dir, *settings.data_dir.parents] if parent.exists())
    facts.append([texts["machine_disk"], f"{shutil.disk_usage(folder).free / 1e9:.0f} GB"])
    return facts


def _gpus() -> str:
    """Names of NVIDIA's cards, as their driver lists them."""
    names = []
    for information in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        try:
            lines = information.read_text("utf-8").splitlines()
        except OSError:
            continue
        names += [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    return ", ".join(names)


def _profile_view(profile: Profile, pipeline: Pipeline, availability: Availability, texts: Texts) -> View:
    makes: dict[int, tuple[BackendSpec, list[CaptionKind | None]]] = {}
    for kind, name in profile.captioners.items():
        spec = find_captioner(kind, name)
        makes.setdefault(id(spec), (spec, []))[1].append(kind)
    generator = find_generator(profile.generator)
    makes.setdefault(id(generator), (generator, []))[1].append(None)
    engines = [_engine_view(spec, kinds, pipeline, availability, texts) for spec, kinds in makes.values()]
    return {
        "name": profile.name,
        "title": texts.get(f"profile_{profile.name}", profile.name),
        "about": texts.get(f"profile_{profile.name}_about", profile.summary),
        "in_use": profile.name == pipeline.profile.name,
        "ready": all(engine["ready"] for engine in engines),
        "engines": engines,
    }


def _kinds(spec: BackendSpec) -> list[CaptionKind | None]:
    return [kind for kind in CaptionKind if kind in spec.produces] or [None]


def _engine_view(
    spec: BackendSpec,
    kinds: Iterable[CaptionKind | None],
    pipeline: Pipeline,
    availability: Availability,
    texts: Texts,
) -> View:
    lacks = availability.why_not(spec)
    wanted = _weights(spec)
    costs = []
    size_gb = sum(weights.size_gb for weights in wanted)
    if size_gb and lacks:
        costs.append(fill(texts["machine_download"], gb=f"{size_gb:.3g}"))
    if lacks and any(weights.gated for weights in wanted):
        costs.append(texts["machine_gated"])
    if spec.vram_gb:
        costs.append(fill(texts["machine_vram"], gb=f"{spec.vram_gb:g}"))
    return {
        "name": spec.name,
        "makes": ", ".join(texts["machine_soundtracks"] if kind is None else title_of(kind, texts) for kind in kinds),
        "ready": not lacks,
        "costs": ", ".join(costs) or texts["machine_free"],
        "license": spec.license,
        "next_step": _without_paths(lacks, pipeline.settings),
    }


def _weights(spec: BackendSpec) -> list[Weights]:
    names = _BESIDE.get(spec.name)
    if names is not None:
        return [MANIFEST[name] for name in names if name in MANIFEST]
    return [weights for weights in MANIFEST.values() if spec.repo_id and weights.repo_id == spec.repo_id][:1]


def _without_paths(reason: str, settings: Settings) -> str:
    """`reason` without where this installation keeps its files."""
    for folder in (settings.data_dir, settings.work_dir, Path.home()):
        reason = reason.replace(str(folder), "…")
    return reason
