"""Training targets for the scene model: what the picture may have been, told from both captions.

The published training set pairs a piece of music with a description of its video that Mixtral wrote from the video
caption and the music caption (MusiScene, arXiv 2507.05894). `scene_target` makes one such description.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from musiscene.captions._language.asking import Waits, ask
from musiscene.captions._language.model import LanguageModel, Sampling
from musiscene.captions._language.prompts import Template, find_template
from musiscene.types import Job

DEFAULT_TEMPLATE = "scene-target/paper"


@dataclass(frozen=True, slots=True)
class SceneTarget:
    """A training target.

    Attributes:
        text: The description of the scene.
        prompt: What was asked.
        provenance: Model, prompt version, sampling, seed; JSON-ready.
    """

    text: str
    prompt: str
    provenance: dict[str, Any]


def scene_target(
    model: LanguageModel,
    video_caption: str,
    music_caption: str,
    *,
    seed: int = 0,
    sampling: Sampling | None = None,
    template: Template | None = None,
    waits: Waits | None = None,
    job: Job | None = None,
) -> SceneTarget:
    """The scene that goes with a music caption, written from both captions of a clip.

    Args:
        model: Who writes it (`ModelSource(Connection(...)).get()`).
        video_caption: What is seen.
        music_caption: What is heard.
        seed: The same captions and seed give the same target, where the model allows it.
        sampling: The published settings by default.
        template: The published question by default.
        waits: How patient; a long run may want more tries.
        job: May stop it.

    Raises:
        LanguageModelError: There is no usable answer; the message says why and what would help.
        Stopped: `job` was stopped.
    """
    answer = ask(
        model,
        template or find_template(DEFAULT_TEMPLATE),
        {"video": video_caption, "music": music_caption},
        sampling=sampling,
        seed=seed,
        job=job,
        waits=waits,
    )
    return SceneTarget(answer.text, answer.prompt, answer.provenance())
