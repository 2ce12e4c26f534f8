"""What the neural video captioners share: windows of a long clip, and one caption for the whole out of many.

SwinBERT and its kin were trained on clips of about ten seconds (the paper's are 10 s). A longer clip is cut into
windows of about that length, each gets a caption with its times, and the most central one stands for the whole.
"""

from __future__ import annotations

import itertools
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from musiscene.errors import BackendError, ConfigError, MissingStreamError
from musiscene.types import Caption, CaptionKind, CaptionRequest, Job

# Words that every caption has say nothing about what captions share.
_FILLERS = frozenset(
    (
        *("a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "have", "he", "her", "his", "in"),
        *("into", "is", "it", "its", "of", "on", "or", "she", "that", "the", "their", "there", "they", "this", "to"),
        *("was", "while", "with"),
    )
)


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a clip, in seconds from its first picture."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Its length."""
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class Sentence:
    """What a network says of one window.

    Attributes:
        text: As it came.
        confidence: How sure the network was, 0 to 1; None when it does not say.
    """

    text: str
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Cutting:
    """How a clip is cut.

    Attributes:
        window_s: About how long a window is.
        most: So many windows are looked at; of longer clips, that many spread evenly.
        batch: So many are looked at together.
    """

    window_s: float = 10.0
    most: int = 12
    batch: int = 1

    def __post_init__(self) -> None:
        if not (self.window_s > 0 and self.most >= 1 and self.batch >= 1):
            raise ConfigError(
                f"Windows of {self.window_s} s, at most {self.most}, {self.batch} at once: all must be > 0."
            )

    @classmethod
    def from_options(cls, options: Mapping[str, Any], batch: int = 1) -> Cutting:
        """Read `window_s` and `max_windows` from a backend's options.

        Raises:
            ConfigError: They are no positive numbers.
        """
        try:
            return cls(float(options.get("window_s", 10.0)), int(options.get("max_windows", 12)), batch)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"window_s and max_windows must be numbers: {error}.") from error

    def windows(self, duration_s: float) -> tuple[Window, ...]:
        """Equal windows that cover the clip; of a clip with more than `most`, that many with equal gaps."""
        count = max(1, round(duration_s / self.window_s))
        if count <= self.most:
            edges = [duration_s * index / count for index in range(count + 1)]
            return tuple(Window(start, end) for start, end in itertools.pairwise(edges))
        part_s = duration_s / self.most
        starts = [part_s * (index + 0.5) - self.window_s / 2 for index in range(self.most)]
        return tuple(Window(start, start + self.window_s) for start in starts)


Look = Callable[[Sequence[Window], Callable[[float], None]], list[Sentence]]
"""Windows -> a sentence for each; the second argument is told the progress (0 to 1) often and may raise to stop."""


def describe_clip(
    request: CaptionRequest, look: Look, *, backend: str, cutting: Cutting, job: Job, facts: Mapping[str, Any]
) -> Caption:
    """The video caption of a clip with the captions of its windows as evidence.

    Args:
        request: Its video is described.
        look: What the network says of windows.
        backend: Name of the captioner.
        cutting: How long clips are cut.
        job: Told how far it is; may stop it.
        facts: Further evidence: model, precision …

    Raises:
        MissingStreamError: There is no picture.
        BackendError: The network wrote nothing.
        Stopped: `job` was stopped.
    """
    if request.video is None or not request.video.has_video:
        raise MissingStreamError("There is no picture to describe: choose a video file.")
    began = time.perf_counter()
    windows = cutting.windows(request.video.duration_s)
    sentences: list[Sentence] = []
    for first in range(0, len(windows), cutting.batch):
        batch = windows[first : first + cutting.batch]

        def watch(share: float, first: int = first, size: int = len(batch)) -> None:
            note = "Watching the clip" if len(windows) == 1 else f"Watching part {first + 1} of {len(windows)}"
            job.progress((first + share * size) / len(windows), note)

        watch(0.0)
        sentences += look(batch, watch)
    texts = [as_sentence(sentence.text) for sentence in sentences]
    if not any(texts):
        raise BackendError(f"{backend} wrote an empty caption for {request.video.path.name}. Try another captioner.")
    agreement = centrality(texts)
    best = max(range(len(texts)), key=lambda i: (bool(texts[i]), agreement[i], sentences[i].confidence or 0.0, -i))
    total = max(len(windows), round(request.video.duration_s / cutting.window_s))
    evidence = {
        "windows": [
            {"start_s": round(w.start_s, 3), "end_s": round(w.end_s, 3), "text": text}
            | ({} if s.confidence is None else {"confidence": round(s.confidence, 4)})
            for w, s, text in zip(windows, sentences, texts, strict=True)
        ],
        "windows_seen": len(windows),
        "windows_in_clip": total,
        "agreement": round(agreement[best], 3),
        **facts,
    }
    job.progress(1.0, "Described the picture")
    return Caption(CaptionKind.VIDEO, texts[best], backend, seconds=time.perf_counter() - began, evidence=evidence)


def as_sentence(text: str) -> str:
    """`text` on one line, beginning with a capital and ending with a mark."""
    line = " ".join(text.split())
    if not line:
        return ""
    line = line[0].upper() + line[1:]
    return line if line[-1] in ".!?" else f"{line}."


def centrality(texts: Sequence[str]) -> list[float]:
    """How much each caption has in common with the others, 0 to 1; of one caption, 1.

    The consensus of Devlin et al., "Exploring Nearest Neighbor Approaches for Image Captioning", 2015: the caption
    with the highest mean similarity to all others. Similarity is the cosine of word and word-pair counts.
    """
    bags = [_bag(text) for text in texts]
    if len(bags) == 1:
        return [1.0]
    return [
        sum(_cosine(bag, other) for j, other in enumerate(bags) if j != i) / (len(bags) - 1)
        for i, bag in enumerate(bags)
    ]


def _bag(text: str) -> Counter[str]:
    words = [word for word in re.findall(r"[\w']+", text.lower()) if word not in _FILLERS]
    return Counter(words + [f"{a} {b}" for a, b in itertools.pairwise(words)])


def _cosine(a: Counter[str], b: Counter[str]) -> float:
    shared = sum(count * b[word] for word, count in a.items())
    size = math.sqrt(sum(n * n for n in a.values()) * sum(n * n for n in b.values()))
    return shared / size if size else 0.0
