"""What captioners share whose network `transformers` loads by itself: find it, load it, ask it window by window.

Nothing heavy is imported here; `load_model` and the writers do that.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from musiscene import media
from musiscene.captions._moments import Cutting, Sentence, Window, describe_clip
from musiscene.errors import BackendUnavailableError, ConfigError, MissingStreamError
from musiscene.types import Caption, CaptionKind, CaptionRequest, Job

if TYPE_CHECKING:
    from musiscene.media import Frames
    from musiscene.networks.placement import Placement


class Writer(Protocol):
    """A loaded network that says in words what some pictures show."""

    frames: int
    """Pictures that it looks at."""
    max_side: int
    """Longest side, in pixels, that is of use to it."""

    def write(self, frames: Frames, watch: Callable[[float], None]) -> Sentence:
        """What `frames` show, whose times count from the window's start; `watch` is told often and may raise."""
        ...


class WindowCaptioner:
    """Describes clips with a `Writer`, one window and one person at a time."""

    def __init__(self, name: str, writer: Writer, cutting: Cutting, facts: Mapping[str, Any]) -> None:
        self.name = name
        self.writer = writer
        self.cutting = cutting
        self.facts = dict(facts)
        self._turn = threading.Lock()

    def describe(self, request: CaptionRequest, job: Job) -> Iterator[Caption]:
        """Yield the video caption.

        Raises:
            MissingStreamError: There is no picture.
            UnreadableMediaError: No frame can be decoded.
            Stopped: `job` was stopped.
        """
        if CaptionKind.VIDEO not in request.kinds:
            return
        clip = request.video
        if clip is None:
            raise MissingStreamError("There is no picture to describe: choose a video file.")

        def look(windows: Sequence[Window], watch: Callable[[float], None]) -> list[Sentence]:
            (window,) = windows
            end_s = None if window.end_s >= clip.duration_s else window.end_s
            frames = media.sample_frames(
                clip,
                self.writer.frames,
                max_side=self.writer.max_side,
                start_s=window.start_s,
                end_s=end_s,
                job=Job(stop=job.stop),
            )
            frames = replace(frames, times_s=(frames.times_s - window.start_s).clip(min=0.0))
            while not self._turn.acquire(timeout=0.1):
                job.check()  # somebody else's clip is being described
            try:
                return [self.writer.write(frames, watch)]
            finally:
                self._turn.release()

        facts = {"frames_per_window": self.writer.frames, **self.facts}
        yield describe_clip(request, look, backend=self.name, cutting=self.cutting, job=job, facts=facts)


def find_weights(backend: str, names: Sequence[str], options: Mapping[str, Any]) -> tuple[Path, str]:
    """The folder of the weights that `options` mean (`weights`, or `model` out of `names`), and what they are called.

    Raises:
        BackendUnavailableError: They are not on this machine; the message says what to do.
        ConfigError: `model` is none of `names`.
    """
    from musiscene import weights

    if options.get("weights"):
        path = Path(options["weights"]).expanduser()
        if (path / "config.json").is_file():
            return path, path.name
        raise BackendUnavailableError(f"There is no model for {backend} in {path}: it holds no config.json.")
    model = options.get("model")
    if model is not None and model not in names:
        raise ConfigError(f"{backend} has no model {model!r}. Choose one of: {', '.join(names)}.")
    for name in (model,) if model else names:
        found = weights.find(name)
        if found:
            return found, name
    from musiscene.published import next_step

    raise BackendUnavailableError(f"{backend}'s weights are not here. {next_step(model or names[-1])}")


def missing_weights(backend: str, names: Sequence[str]) -> Callable[[Mapping[str, Any]], str | None]:
    """A spec's `missing_weights` for a backend that uses `find_weights`."""

    def missing(options: Mapping[str, Any]) -> str | None:
        try:
            find_weights(backend, names, options)
        except (BackendUnavailableError, ConfigError) as error:
            return str(error)
        return None

    return missing


def load_model(path: Path, loader: Any, where: Placement) -> Any:
    """The network in `path`, from `loader` (an auto class of transformers), ready to run; nothing is downloaded.

    Raises:
        BackendUnavailableError: Files are missing or damaged, or tensors are missing; nothing stays random.
    """
    try:
        model, info = loader.from_pretrained(path, dtype=where.dtype, local_files_only=True, output_loading_info=True)
    except Exception as error:  # a damaged folder makes transformers raise almost anything
        raise _unusable(path, error) from error
    for what in ("missing_keys", "mismatched_keys"):
        if info.get(what):
            names = sorted(str(name) for name in info[what])
            raise BackendUnavailableError(
                f"The model in {path} is incomplete: {len(names)} {what.replace('_', ' ')} ({', '.join(names[:8])})."
            )
    return model.to(where.device).eval()


def load_part(path: Path, loader: Any) -> Any:
    """A tokenizer or an image processor in `path`, from an auto class of transformers; nothing is downloaded.

    Raises:
        BackendUnavailableError: Its files are missing or damaged.
    """
    try:
        return loader.from_pretrained(path, local_files_only=True)
    except Exception as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: Exception) -> BackendUnavailableError:
    reason = str(error).strip().split("\n")[0][:200]
    return BackendUnavailableError(f"The model in {path} cannot be loaded: {reason or type(error).__name__}.")


_SENTENCE_END = re.compile(r"(?<=[.!?])(?<!\bM[rs]\.)(?<!\bMrs\.)(?<!\b[DS][rt]\.)\s+(?=[A-Z\"'])")
_LEAD_IN = re.compile(
    r"^(?:in (?:the|this) (?:video|clip|scene|footage)\s*,?\s*(?:we (?:can )?see\s+|there (?:is|are)\s+)?"
    r"|(?:the|this) (?:video|clip|scene|footage|image)s? (?:shows?|depicts?|features?|captures?|presents?|is of)\s+"
    r"(?:that\s+)?)",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"\b(as an ai|i(?:'m| am) (?:sorry|unable|not able)|i (?:can(?:'t|not)|do not have)|language model)\b",
    re.IGNORECASE,
)


def plain_sentence(text: str) -> str:
    """The first sentence of an answer, without "The video shows"; empty where the answer is a refusal."""
    line = " ".join(text.split())
    if _REFUSAL.search(line):
        return ""
    first = _SENTENCE_END.split(line, maxsplit=1)[0]
    return _LEAD_IN.sub("", first).strip(" \"'")
