"""The work on rows: each stage is a function from a batch of rows to the same rows with more in them.

A stage keeps nothing between batches but what it has loaded, so it runs in any process, in any order. What goes
wrong with one row is written into that row (`error`), and later stages pass it by.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from musiscene.backend_options import backend_options
from musiscene.captions._language import Sampling, find_template, scene_target
from musiscene.captions._language.source import ModelSource
from musiscene.errors import BackendUnavailableError, MusisceneError, Stopped, StorageError
from musiscene.media import probe
from musiscene.registry import BackendSpec, Pool, find_captioner
from musiscene.settings import Settings
from musiscene.types import Caption, CaptionKind, CaptionRequest, CaptionSet, Clip, Job
from train.dataset.config import NONE, Captions, Dataset
from train.dataset.cutting import flac, picture_clip, sound, sound_clip, sound_name, window
from train.dataset.places import Places
from train.dataset.sources import Row
from train.naming import digest

_LOG = logging.getLogger(__name__)
STAGES = ("sound", "video", "music", "fusion", "target")
LANGUAGE_TARGET = "llm"
"""As a target this is not the captioner of that name, which reads the music caption alone, but the paper's question."""

Stage = Callable[[Sequence[Row]], list[Row]]
_KINDS = {"video": CaptionKind.VIDEO, "music": CaptionKind.MUSIC, "fusion": CaptionKind.FUSION}
_FIELDS = {"video": "video_caption", "music": "music_caption_1", "fusion": "fusion_caption", "target": "msi_target"}


def make_stage(name: str, config: Dataset) -> Stage:
    """The stage called `name`, which loads what it needs with its first batch."""
    if name == "sound":
        return _each(name, SoundStage(config))
    if name == "target":
        return _each(name, TargetStage(config))
    return _each(name, CaptionStage(name, config))


def make_stages(config: Dataset) -> list[tuple[str, Stage]]:
    """The stages that a dataset needs, in order."""
    return [(name, make_stage(name, config)) for name in needed(config)]


def needed(config: Dataset) -> list[str]:
    """Names of the stages that have something to do."""
    if config.source.kind == "conversations":
        return ["sound"]  # the answers are there
    return [name for name in STAGES if name == "sound" or getattr(config.captions, name) != NONE]


def check_backends(config: Dataset) -> None:
    """Whether every captioner that is named can run here; found out before hours of work.

    Raises:
        UnknownBackendError: There is no captioner of a name.
        BackendUnavailableError: It lacks something; the message says what to do.
    """
    options = _options(config.captions)
    for name in needed(config):
        if name == "sound":
            continue
        chosen = getattr(config.captions, name)
        if name == "target" and chosen == LANGUAGE_TARGET:
            reason = ModelSource.of(options[LANGUAGE_TARGET]).connection.why_unavailable()
        else:
            reason = _spec(name, chosen).why_unavailable(options.get(chosen))
        if reason:
            raise BackendUnavailableError(f"captions.{name} = {chosen!r} cannot run here: {reason}")


class SoundStage:
    """Finds a row's file and stores its sound."""

    def __init__(self, config: Dataset) -> None:
        self._places, self._clips = Places(config), config.clips
        self._probe = lru_cache(maxsize=4)(probe)  # the clips of one file follow each other
        self._wanted, self._silent = config.source.media is not None, config.source.kind == "conversations"

    def __call__(self, row: Row) -> None:
        """Add `audio`, `audio_sha256`, `duration_s`, and where the clip lies in which file.

        A conversation about no sound gets a second of silence, as in the original; it is nobody's duplicate.
        """
        if self._silent and not row.get("path"):
            row["audio"] = flac(np.zeros(self._clips.sample_rate, np.float32), self._clips.sample_rate)
            row["duration_s"] = 1.0
            return
        if not self._wanted and not row.get("path"):
            if self._clips.required:
                raise MusisceneError("There is no sound: name the folder of the clips in source.media.")
            return
        try:
            path, begins = self._places.find(row)
            clip = self._probe(path)
            start, end = window(clip, float(row["start_s"]), float(row["end_s"]), begins_with_clip=begins)
            if end <= start:
                raise MusisceneError(f"{path.name} ends at {clip.duration_s:.1f} s, before the clip begins.")
            mono = sound(clip, start, end, self._clips.sample_rate)
            heard_s = len(mono) / self._clips.sample_rate
            if heard_s < self._clips.shortest_s:
                raise MusisceneError(
                    f"{path.name} has only {heard_s:.2f} s of sound there, less than clips.shortest_s = "
                    f"{self._clips.shortest_s:g}."
                )
        except MusisceneError:
            if self._clips.required:
                raise
            return
        row["audio"] = flac(mono, self._clips.sample_rate)
        row["audio_sha256"] = sound_name(row["audio"])
        row["duration_s"] = round(heard_s, 3)
        row["file"], row["file_start_s"], row["file_end_s"] = str(path), start, end


class CaptionStage:
    """Has a captioner of the registry write one kind of caption."""

    def __init__(self, name: str, config: Dataset) -> None:
        self._name, self._config, self._kind = name, config, _KINDS[name]
        self._backend = getattr(config.captions, name)
        self._spec = _spec(name, self._backend)
        self._pool = Pool(options=_options(config.captions))

    def load(self) -> None:
        """Load the captioner.

        Raises:
            BackendUnavailableError: It cannot run here.
        """
        self._pool.captioner(self._spec)

    def __call__(self, row: Row) -> None:
        """Add the caption, and what it was made with."""
        field = _FIELDS[self._name]
        if row.get(field):
            row["models"].setdefault(self._name, {"backend": "known"})
            return
        captioner, seed = self._pool.captioner(self._spec), row_seed(self._config.seed, row["clip_id"])

        def write(request: CaptionRequest) -> None:
            (caption,) = [made for made in captioner.describe(request, Job()) if made.kind == self._kind]
            _note(row, self._name, field, caption, self._spec)

        kinds = frozenset({self._kind})
        if self._kind == CaptionKind.FUSION:
            if row.get("video_caption") and row.get("music_caption_1"):
                write(CaptionRequest(kinds, captions=_captions(row), seed=seed))
        elif self._kind == CaptionKind.VIDEO:
            clip = probe(row["file"])
            if clip.has_video:  # music alone has nothing to see
                with picture_clip(clip, row["file_start_s"], row["file_end_s"]) as shown:
                    write(CaptionRequest(kinds, video=shown, seed=seed))
        else:
            with sound_clip(row["audio"]) as heard:
                write(CaptionRequest(kinds, music=heard, seed=seed))
                self._second(row, captioner, heard, seed)

    def _second(self, row: Row, captioner: Any, heard: Clip, seed: int) -> None:
        question = self._config.captions.second_question
        if question and hasattr(captioner, "ask") and not row.get("music_caption_2"):
            row["music_caption_2"] = "".join(captioner.ask(heard, question, seed=seed)).strip()
            row["prompts"]["music_2"] = question


class TargetStage:
    """Writes the scene that is to be learnt."""

    def __init__(self, config: Dataset) -> None:
        self._config, self._chosen = config, config.captions.target
        options = _options(config.captions)
        self._spec = None if self._chosen == LANGUAGE_TARGET else _spec("target", self._chosen)
        self._source = ModelSource.of(options.get(LANGUAGE_TARGET, {}))
        self._pool = Pool(options=options)

    def load(self) -> None:
        """Load the model.

        Raises:
            BackendUnavailableError: It cannot be used here.
        """
        if self._spec is None:
            self._source.get()
        else:
            self._pool.captioner(self._spec)

    def __call__(self, row: Row) -> None:
        """Add the target, and what it was made with."""
        if row.get("msi_target"):
            row["models"].setdefault("target", {"backend": "known"})
            return
        seed, chosen = row_seed(self._config.seed, row["clip_id"]), self._config.captions
        if self._spec is None:
            missing = [name for name in ("video_caption", "music_caption_1") if not row.get(name)]
            if missing:
                raise MusisceneError(f"The target is written from both captions; there is no {missing[0]}.")
            target = scene_target(
                self._source.get(),
                row["video_caption"],
                row["music_caption_1"],
                seed=seed,
                sampling=Sampling(chosen.temperature, chosen.top_p, chosen.top_k, chosen.max_tokens),
                template=find_template(chosen.template),
            )
            row["msi_target"] = target.text
            row["prompts"]["target"] = target.prompt
            facts = dict(target.provenance["language_model"])
            row["models"]["target"] = {"backend": LANGUAGE_TARGET, **facts, "sampling": target.provenance["sampling"]}
            return
        captioner = self._pool.captioner(self._spec)
        kinds, captions = frozenset({CaptionKind.MSI}), _captions(row)
        if self._spec.needs_sound:
            with sound_clip(row["audio"]) as heard:
                made = list(captioner.describe(CaptionRequest(kinds, music=heard, captions=captions, seed=seed), Job()))
        else:
            made = list(captioner.describe(CaptionRequest(kinds, captions=captions, seed=seed), Job()))
        (caption,) = [caption for caption in made if caption.kind == CaptionKind.MSI]
        _note(row, "target", "msi_target", caption, self._spec)


def row_seed(seed: int, clip_id: str) -> int:
    """A seed of a row's own, which does not depend on where or when the row is worked on."""
    return int(digest(str(seed), clip_id)[:7], 16)


def _each(name: str, work: Any) -> Stage:
    """A stage from work on one row: rows that failed are passed by, and a failure stays in its row."""

    def run(rows: Sequence[Row]) -> list[Row]:
        if hasattr(work, "load") and any(not row.get("error") for row in rows):
            work.load()  # what cannot be loaded at all is no row's fault
        done = []
        for row in rows:
            row = {**row, "models": dict(row.get("models", {})), "prompts": dict(row.get("prompts", {}))}
            if not row.get("error"):
                try:
                    work(row)
                except (BackendUnavailableError, StorageError, Stopped):
                    raise
                except MusisceneError as error:
                    row["error"], row["failed_stage"] = str(error), name
                except Exception as error:  # noqa: BLE001  one odd clip of two millions must not end the run
                    _LOG.exception("%s failed in the stage %s", row["clip_id"], name)
                    row["error"], row["failed_stage"] = f"{type(error).__name__}: {error}", name
            done.append(row)
        return done

    return run


def _note(row: Row, stage: str, field: str, caption: Caption, spec: BackendSpec) -> None:
    row[field] = caption.text
    if caption.prompt:
        row["prompts"][stage] = caption.prompt
    model = caption.evidence.get("language_model")
    row["models"][stage] = {
        "backend": spec.name,
        "repo_id": spec.repo_id,
        "revision": spec.revision,
        "license": spec.license,
        **(dict(model) if isinstance(model, Mapping) else {}),
    }
    # fusion reads what was measured, not only the words
    row.setdefault("evidence", {})[stage] = json.loads(json.dumps(dict(caption.evidence), default=str))


def _captions(row: Row) -> CaptionSet:
    evidence = row.get("evidence", {})
    kinds = (("video", CaptionKind.VIDEO, "video_caption"), ("music", CaptionKind.MUSIC, "music_caption_1"))
    return CaptionSet(
        Caption(
            kind, row[field], row["models"].get(stage, {}).get("backend", "known"), evidence=evidence.get(stage, {})
        )
        for stage, kind, field in kinds
        if row.get(field)
    )


def _spec(stage: str, name: str) -> BackendSpec:
    return find_captioner(_KINDS.get(stage, CaptionKind.MSI), name)


def _options(captions: Captions) -> dict[str, dict[str, Any]]:
    options = backend_options(Settings.from_env())
    for name, given in captions.options.items():
        options[name] = {**options.get(name, {}), **given}
    return options


def describe(config: Dataset) -> dict[str, Any]:
    """What decides the content of rows: work that was begun goes on only with the same."""
    facts = {
        "source": asdict(config.source),
        "captions": {**asdict(config.captions), "options": {k: dict(v) for k, v in config.captions.options.items()}},
        "clips": asdict(config.clips),
        "seed": config.seed,
        "chunk": config.work.chunk,
    }
    plain: dict[str, Any] = json.loads(json.dumps(facts, default=str))
    return plain


def home() -> Path:
    """The folder that `train` is in, for processes that are started elsewhere."""
    return Path(__file__).resolve().parents[2]
