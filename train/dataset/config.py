"""What a dataset can be built from and how; the defaults are the paper's, where the paper says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from musiscene.errors import ConfigError

KINDS = ("audioset", "folder", "captions", "conversations")
NONE = "none"
SECOND_QUESTION = (
    "Describe elements of the music, such as its mood, rhythm, and genre. What is the context? What type of videos are "
    "suitable with this music?"
)
"""The question behind the published `Music Caption 2`."""
SCENE_QUESTION = "Example of scene that suit this music"
"""What the app asks for a scene."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where clips come from.

    Attributes:
        kind: "audioset" (segment CSVs), "folder" (every media file of `media`), "captions" (a CSV of captions, the
            authors' or ours) or "conversations" (JSON of MusicQA's kind).
        media: Folder of the media files.
        segments: AudioSet's segment CSVs.
        classes: Keep segments with one of these classes: names or ids ("/m/04rlf").
        exclude: And none of these.
        labels: AudioSet's `class_labels_indices.csv`, for names other than "Music".
        ontology: AudioSet's `ontology.json`: a class then includes all below it.
        file: The captions CSV or the conversations JSON.
        ids: A JSON object or list whose keys or entries are the video ids of a CSV without ids, in its order.
        limit: Take so many clips, spread evenly over all; 0 takes all.
    """

    kind: str
    media: Path | None = None
    segments: tuple[Path, ...] = ()
    classes: tuple[str, ...] = ("Music",)
    exclude: tuple[str, ...] = ()
    labels: Path | None = None
    ontology: Path | None = None
    file: Path | None = None
    ids: Path | None = None
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Clips:
    """What is cut.

    Attributes:
        length_s: Longest clip; AudioSet's segments say their own length up to it.
        shortest_s: A clip with less sound than that counts as one without.
        sample_rate: Of the stored sound; MERT listens at 24 kHz.
        required: A clip without sound is an error row; else it is kept, for its words.
    """

    length_s: float = 10.0
    shortest_s: float = 0.5
    sample_rate: int = 24_000
    required: bool = True


@dataclass(frozen=True, slots=True)
class Captions:
    """Who writes what: names of captioners (`musiscene doctor` lists them), or "none".

    Attributes:
        video: What is seen; the paper's is "swinbert".
        music: What is heard; the paper's is "mu-llama".
        fusion: Both merged; the paper's is "llm" with Mixtral.
        target: The scene that is to be learnt. "llm" writes it from both captions with the published question; other
            names are captioners of the MSI kind.
        second_question: Also asked of a music captioner that answers questions; none when empty.
        template: The language model's question for the target, by name.
        known: A CSV of captions that exist already, by clip or video id; they are used as they are.
        temperature: Of the language model's target.
        top_p: See `temperature`.
        top_k: See `temperature`.
        max_tokens: See `temperature`.
        options: Name of a captioner -> what its loading is given, as `adapter = "…"` for "mu-llama".
    """

    video: str = "sketch"
    music: str = "sketch"
    fusion: str = "sketch"
    target: str = "sketch"
    second_question: str = SECOND_QUESTION
    template: str = "scene-target/paper"
    known: Path | None = None
    temperature: float = 0.7
    top_p: float = 0.95
    top_k: int = 40
    max_tokens: int = 512
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fetch:
    """Fetching clips that are not in the media folder: off unless it is asked for.

    Attributes:
        enabled: Fetch. Whether you may is between you and the service; its terms and the law of your place decide.
        plugin: The fetcher, as "module:Class".
        command: The program that the yt-dlp fetcher calls.
        pause_s: Wait at least so long between two requests, over all processes of this machine.
        max_height: Of the picture, in pixels.
        timeout_s: Give one clip up after so long.
    """

    enabled: bool = False
    plugin: str = "train.dataset.places:YtDlp"
    command: str = "yt-dlp"
    pause_s: float = 5.0
    max_height: int = 360
    timeout_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Quality:
    """Which rows are kept.

    Attributes:
        refusals: Leave out answers in which a model refuses.
        echoes: And those that repeat the question or copy a caption.
        loops: And those that repeat themselves.
        duplicates: And clips whose sound (with the same question) is there already.
        min_words: Shorter targets are left out.
        max_words: And longer ones.
    """

    refusals: bool = True
    echoes: bool = True
    loops: bool = True
    duplicates: bool = True
    min_words: int = 4
    max_words: int = 600


@dataclass(frozen=True, slots=True)
class Actors:
    """Ray's resources for one stage.

    Attributes:
        min: Actors from the start.
        max: And at most.
        num_cpus: Of each.
        num_gpus: Of each; 0.25 puts four on one GPU.
    """

    min: int = 1
    max: int = 1
    num_cpus: float = 0.5
    num_gpus: float = 0.0


@dataclass(frozen=True, slots=True)
class Ray:
    """How the Ray engine is run.

    Attributes:
        address: Of a cluster, "auto" for the one this machine belongs to; starts one here when empty.
        num_cpus: Of the one started here; its cores when 0.
        object_store_gb: Back-pressure: a stage waits while so much is on its way to the next; Ray's own bound when 0.
        in_flight: Chunks that wait in front of one actor.
        stages: Stage ("sound", "video", "music", "fusion", "target") -> its actors.
        env: Environment variables of the actors.
    """

    address: str = ""
    num_cpus: int = 0
    object_store_gb: float = 0.0
    in_flight: int = 2
    stages: Mapping[str, Actors] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Work:
    """How the work is cut up; nothing here changes a row.

    Attributes:
        chunk: Clips that are finished, and kept, together.
        processes: Of the local engine; 1 works in this one.
        shard_mb: Size of one Parquet file.
    """

    chunk: int = 8
    processes: int = 1
    shard_mb: int = 400


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset.

    Attributes:
        out: Folder of the dataset; work that was ended goes on there.
        name: For the card.
        seed: Of captions, splits and `source.limit`.
        question: What the target answers.
        splits: Name -> share of the clips.
    """

    out: Path
    source: Source
    name: str = "VACAD"
    seed: int = 0
    question: str = SCENE_QUESTION
    splits: Mapping[str, float] = field(default_factory=lambda: {"train": 0.8, "validation": 0.2})
    clips: Clips = field(default_factory=Clips)
    captions: Captions = field(default_factory=Captions)
    fetch: Fetch = field(default_factory=Fetch)
    quality: Quality = field(default_factory=Quality)
    work: Work = field(default_factory=Work)
    ray: Ray = field(default_factory=Ray)

    def __post_init__(self) -> None:
        source = self.source
        if source.kind not in KINDS:
            raise ConfigError(f"source.kind must be one of {', '.join(KINDS)}, got {source.kind!r}.")
        needs = {"audioset": ("segments", "media"), "folder": ("media",), "captions": ("file",)}
        for name in needs.get(source.kind, ("file", "media")):
            if not getattr(source, name):
                raise ConfigError(f'source.{name} is needed for source.kind = "{source.kind}".')
        if not self.splits or any(share <= 0 for share in self.splits.values()):
            raise ConfigError("Every share in splits must be above 0.")
        if abs(sum(self.splits.values()) - 1) > 1e-6:
            raise ConfigError(f"The shares in splits must add up to 1, got {sum(self.splits.values()):g}.")
        for name, value in (
            ("clips.length_s", self.clips.length_s),
            ("clips.sample_rate", self.clips.sample_rate),
            ("work.chunk", self.work.chunk),
            ("work.processes", self.work.processes),
            ("work.shard_mb", self.work.shard_mb),
        ):
            if value <= 0:
                raise ConfigError(f"{name} must be above 0, got {value}.")
