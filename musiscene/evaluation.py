"""The paper's tables from files: which networks are here, and what a folder of results holds.

`train/evaluate.py`, the command line and the page call these functions; the measuring itself is in
`musiscene.metrics`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from musiscene import weights
from musiscene.errors import BackendUnavailableError, RequestError
from musiscene.evaluation_pictures import Sight, Together, evaluate_pictures, together
from musiscene.metrics.caption_files import read_captions
from musiscene.metrics.sound_files import Sound
from musiscene.settings import Settings
from musiscene.types import CaptionKind, Job

PASST = "passt-20s"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Where weights are, where a person said so; those of `musiscene weights` by default.

    Attributes:
        vggish: A file or folder.
        passt: A file or folder.
        passt_s: Length of the model's segments where it is not named: 10, 20 or 30.
        clap: A folder.
        bert: A folder.
        device: "auto", or what torch calls it.
    """

    vggish: Path | None = None
    passt: Path | None = None
    passt_s: int = 20
    clap: Path | None = None
    bert: Path | None = None
    device: str = "auto"


def load_networks(chosen: Chosen, settings: Settings, *, wanted: Sequence[str] = ("vggish", "passt", "clap")) -> Any:
    """The networks whose weights are on this machine, as `metrics.music_tables.Networks`; what lacks is noted there.

    Weights that a person named and that cannot be used are an error; so are files that are there and wrong.

    Raises:
        BackendUnavailableError: A file is damaged, another network's, or holds untrained weights.
    """
    from importlib.util import find_spec

    from musiscene.metrics.music_tables import Networks

    if find_spec("torch") is None or find_spec("transformers") is None:
        reason = "It needs torch: run `pip install 'musiscene[models]'`."
        return Networks(missing={"FAD": reason, "KL": reason, "The CLAP score": reason})
    from musiscene.metrics.clap import load_clap
    from musiscene.networks import passt, vggish
    from musiscene.networks.placement import place

    device = place(chosen.device, exact=True).device
    missing: dict[str, str] = {}
    loaded: dict[str, Any] = {}
    path = _find("vggish", chosen.vggish, settings)
    if "vggish" in wanted and path is not None:
        loaded["vggish"] = vggish.load_vggish(path, device=device)
        vggish.check_trained(loaded["vggish"])
    elif "vggish" in wanted:
        missing["FAD"] = _lacking("vggish")
    name = f"passt-{chosen.passt_s}s"
    path = _find(name, chosen.passt, settings)
    if "passt" in wanted and path is not None:
        loaded["passt"] = passt.load_passt(path, device=device)
        passt.check_trained(loaded["passt"])
    elif "passt" in wanted:
        missing["KL"] = _lacking(name)
    path = _find("clap-music", chosen.clap, settings)
    if "clap" in wanted and path is not None:
        loaded["clap"] = load_clap(path, device=device)
    elif "clap" in wanted:
        missing["The CLAP score"] = _lacking("clap-music")
    return Networks(**loaded, missing=missing)


def load_bert(chosen: Chosen, settings: Settings) -> tuple[Any, str]:
    """BERTScore's network, or None and why it is not here.

    Raises:
        BackendUnavailableError: What is there cannot be used.
    """
    from importlib.util import find_spec

    if find_spec("torch") is None or find_spec("transformers") is None:
        return None, "It needs torch: run `pip install 'musiscene[models]'`."
    path = _find("roberta-large", chosen.bert, settings)
    if path is None:
        return None, _lacking("roberta-large")
    from musiscene.metrics.bertscore import load_bert_scorer
    from musiscene.networks.placement import place

    return load_bert_scorer(path, device=place(chosen.device, exact=True).device), ""


def _find(name: str, given: Path | None, settings: Settings) -> Path | None:
    return given if given is not None else weights.find(name, settings.data_dir / "weights")


def _lacking(name: str) -> str:
    return f"The weights {name!r} are not here. {weights.next_step(name)}"


# -- one soundtrack -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClipScores:
    """What can be said of one soundtrack by itself. FAD is not among it: it compares sets of many clips.

    Attributes:
        together: With the picture; None without one.
        clap: Cosine with the words that it was made from; None without CLAP's weights.
        kl: KL divergence from the reference sound; None without PaSST's weights or without such sound.
    """

    together: Together | None = None
    clap: float | None = None
    kl: float | None = None


def score_clip(
    music: Path,
    *,
    text: str,
    networks: Any,
    settings: Settings,
    sight: Sight | None = None,
    reference: Path | None = None,
    job: Job | None = None,
) -> ClipScores:
    """Per-clip scores of one soundtrack, as far as weights and a picture are there.

    Args:
        music: The soundtrack.
        text: The words that it was made from.
        networks: From `load_networks`.
        settings: For the limits and the listener.
        sight: What is known of the picture.
        reference: The clip's own sound, or the track that was given.
        job: May stop it.

    Raises:
        MusisceneError: A file cannot be read.
        Stopped: `job` was stopped.
    """
    job = job or Job()
    seen = together(sight, music, settings, job) if sight is not None else None
    if networks.clap is None and networks.passt is None:
        return ClipScores(seen)
    from musiscene.metrics.music_tables import Background, evaluate_music

    only = replace(networks, vggish=None, missing={})
    background = Background((Sound("clip", reference),)) if reference is not None else Background()
    found = evaluate_music(
        "clip", (Sound("clip", music),), background, only, texts={"clip": (text,)}, limits=settings.limits, job=job
    )
    return ClipScores(seen, found.clap_by_clip.get("clip"), found.kl_by_clip.get("clip"))


# -- a folder of results ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """What a folder of results holds.

    Attributes:
        references: Captions' references; None when there are none.
        captions: System -> its captions.
        reference_music: Reference clips.
        music: System -> its clips.
        texts: System -> clip -> what its music was made from.
        pictures: Clip -> the video that its music is for.
        failures: Comparisons that cannot be read, in a sentence each.
    """

    references: Mapping[str, Sequence[str]] | None = None
    captions: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    reference_music: tuple[Sound, ...] = ()
    music: Mapping[str, tuple[Sound, ...]] = field(default_factory=dict)
    texts: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    pictures: Mapping[str, Path] = field(default_factory=dict)
    failures: tuple[str, ...] = ()


def read_run(folder: Path) -> Run:
    """What is in a run's folder.

    Two layouts are read, also both at once:

    - `captions/references.jsonl` with `captions/SYSTEM.jsonl` for each system (also without the folder `captions`), and
      `music/reference/` with `music/SYSTEM/` and `music/SYSTEM.jsonl` (the texts);
    - folders made by `musiscene compare`, one for each clip, at any depth: every caption kind is a system, the
      reference is the clip's own sound (or the track that was given), as in the paper's table 3.

    Raises:
        RequestError: There is nothing to evaluate in it.
    """
    from musiscene.metrics.sound_files import list_sounds

    if not folder.is_dir():
        raise RequestError(f"There is no folder {folder}.")
    references, captions = None, {}
    for place in (folder / "captions", folder):
        if (place / "references.jsonl").is_file():
            references = read_captions(place / "references.jsonl")
            captions = {
                file.stem: read_captions(file) for file in sorted(place.glob("*.jsonl")) if file.stem != "references"
            }
            break
    reference_music: tuple[Sound, ...] = ()
    music: dict[str, tuple[Sound, ...]] = {}
    texts: dict[str, dict[str, Sequence[str]]] = {}
    if (folder / "music" / "reference").is_dir():
        reference_music = list_sounds(folder / "music" / "reference")
        for system in sorted((folder / "music").iterdir()):
            if system.is_dir() and system.name != "reference":
                music[system.name] = list_sounds(system)
                text = system.with_suffix(".jsonl")
                if text.is_file():
                    texts[system.name] = dict(read_captions(text))
    pictures: dict[str, Path] = {}
    compared: dict[str, list[Sound]] = {}
    originals: dict[str, Sound] = {}
    failures: list[str] = []
    for path in sorted(folder.rglob("manifest.json")):
        name = path.parent.relative_to(folder).as_posix()
        try:
            found = _read_comparison(name if name != "." else folder.name, path)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            failures.append(f"{path} is no manifest of `musiscene compare` ({type(error).__name__}): left out.")
            continue
        if found is None:  # of something else
            continue
        if found.picture is not None:
            pictures[found.name] = found.picture
        if found.original is not None:
            originals[found.name] = Sound(found.name, found.original)
        for kind, (words, audio) in found.music.items():
            compared.setdefault(kind, []).append(Sound(found.name, audio))
            texts.setdefault(kind, {})[found.name] = (words,)
    for kind in (kind.value for kind in CaptionKind):
        if kind in compared:
            music[kind] = (*music.get(kind, ()), *compared[kind])
    reference_music = (*reference_music, *originals.values())
    if not captions and not music:
        raise RequestError(
            f"{folder} holds nothing to evaluate: captions/references.jsonl with captions/SYSTEM.jsonl, "
            "music/reference/ with music/SYSTEM/, or folders made by `musiscene compare`."
        )
    return Run(references, captions, reference_music, music, texts, pictures, tuple(failures))


@dataclass(frozen=True, slots=True)
class _Comparison:
    """A folder of `musiscene compare`: its clip, what was heard with it, and kind -> caption and soundtrack."""

    name: str
    picture: Path | None
    original: Path | None
    music: dict[str, tuple[str, Path]]


def _read_comparison(name: str, path: Path) -> _Comparison | None:
    manifest = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(manifest, dict) or not {"clip", "captions", "renditions"} <= manifest.keys():
        return None
    clip, track = manifest["clip"], manifest.get("track")
    heard = track or (clip if clip.get("has_audio") and not clip.get("audio_silent") else None)
    return _Comparison(
        name,
        Path(clip["path"]) if clip.get("has_video") else None,
        Path(heard["path"]) if heard else None,
        {
            str(kind): (str(manifest["captions"][kind]["text"]), path.parent / rendition["audio"])
            for kind, rendition in manifest["renditions"].items()
        },
    )


# -- everything ---------------------------------------------------------------------------------------------------


def need_something(networks: Any, has_texts: bool) -> None:
    """Refuse to go through all files when nothing can be computed from them.

    Raises:
        BackendUnavailableError: No network that is needed is here; the message says what to do.
    """
    if networks.vggish is None and networks.passt is None and (networks.clap is None or not has_texts):
        steps = " ".join(f"{metric} is left out. {why}" for metric, why in networks.missing.items())
        raise BackendUnavailableError(f"No score can be computed. {steps}".strip())


@dataclass(frozen=True, slots=True)
class Made:
    """The tables of a run.

    Attributes:
        document: JSON-ready.
        tables: To be read.
        panels: To be drawn.
        notes: What was left out, and why.
    """

    document: dict[str, Any]
    tables: list[Any]
    panels: list[Any]
    notes: tuple[str, ...]


def make_tables(
    folder: Path,
    chosen: Chosen,
    settings: Settings,
    *,
    protocols: Sequence[str] = ("paper", "standard"),
    recipe: str = "paper",
    embedding: str = "vggish",
    store: Path | None = None,
    pictures: bool = True,
    seed: int = 0,
    job: Job | None = None,
) -> Made:
    """All that can be computed from a run's folder; see `read_run` for what it may hold.

    Raises:
        RequestError: There is nothing to evaluate.
        BackendUnavailableError: Weights that are here cannot be used.
        Stopped: `job` was stopped; what was heard is kept in `store`.
    """
    from musiscene.metrics import plots, report
    from musiscene.metrics.caption_tables import evaluate_captions
    from musiscene.metrics.music_tables import Background, evaluate_music

    job = job or Job()
    run = read_run(folder)
    document: dict[str, Any] = {"run": str(folder)}
    tables: list[Any] = []
    panels: list[Any] = []
    notes: list[str] = list(run.failures)
    steps = int(bool(run.references and run.captions)) + len(run.music) + int(bool(pictures and run.pictures))
    done = 0

    def part(name: str) -> Job:
        start = done
        return Job(lambda share, note: job.report((start + share) / max(1, steps), f"{name}: {note}"), job.stop)

    if run.references and run.captions:
        bert, no_bert = load_bert(chosen, settings)
        found = evaluate_captions(
            run.references, run.captions, protocols=protocols, bert=bert, no_bert=no_bert, seed=seed,
            job=part("captions"),
        )  # fmt: skip
        document["captions"] = found.as_dict()
        tables += report.caption_tables(document["captions"])
        panels += plots.caption_panels(document["captions"])
        notes += found.notes
        done += 1
    if run.music:
        networks = load_networks(chosen, settings)
        if networks.vggish is None and networks.passt is None and networks.clap is None:
            notes += [f"{metric} is left out. {why}" for metric, why in networks.missing.items()]
            done += len(run.music)
        else:
            systems = []
            for system, sounds in run.music.items():
                scores = evaluate_music(
                    system, sounds, Background(run.reference_music, source="the run's own reference"), networks,
                    texts=run.texts.get(system), recipe=recipe, embedding=embedding, store=store,
                    limits=settings.limits, seed=seed, job=part(system),
                )  # fmt: skip
                systems.append(scores.as_dict())
                done += 1
            document["music"] = {"reference": "the run's own reference", "systems": systems}
            tables += report.music_tables(systems)
            panels += plots.music_panels(systems)
    if pictures and run.pictures:
        document["pictures"] = evaluate_pictures(run, settings, store=store, seed=seed, job=part("pictures"))
        tables += report.picture_tables(document["pictures"])
        panels += plots.picture_panels(document["pictures"])
        notes += [f"{skipped['name']}: {skipped['reason']}" for skipped in document["pictures"]["skipped"]]
    if not tables:
        raise BackendUnavailableError(f"No score can be computed. {' '.join(notes)}".strip())
    document["notes"] = notes
    return Made(document, tables, panels, tuple(notes))
