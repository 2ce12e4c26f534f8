"""The paper's video captioner: SwinBERT (Lin et al., CVPR 2022) from its published checkpoints.

Options (of the `Pool`): `weights`, a folder or file; `dataset`, which of the downloaded or named ones to use (vatex,
msrvtt, msvd, youcook2, tvc); `device`; `precision`; `beams`; `window_s`; `max_windows`. See docs/swinbert.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musiscene import media
from musiscene.captions._moments import Cutting, Sentence, Window, describe_clip
from musiscene.errors import BackendUnavailableError, ConfigError, MissingStreamError
from musiscene.registry import BackendSpec
from musiscene.types import Caption, CaptionKind, CaptionRequest, Clip, Job

if TYPE_CHECKING:
    from torch import Tensor

    from musiscene.networks.placement import Placement
    from musiscene.networks.swinbert import SwinBert, Vocabulary

_log = logging.getLogger(__name__)

DATASETS = ("vatex", "msrvtt", "msvd", "youcook2", "tvc")
"""What checkpoints were trained on, the most general first."""

_GPU_BATCH = 8
# Rough shares of one caption's time, for the progress bar: reading frames, the backbone, the words.
_READ, _SEEN = 0.1, 0.85


class SwinBertCaptioner:
    """Describes a clip with a loaded SwinBERT. Its network is never changed, so several threads may use it at once."""

    def __init__(
        self, model: SwinBert, vocabulary: Vocabulary, *, place: Placement, source: str, beams: int, cutting: Cutting
    ) -> None:
        self.model = model
        self.vocabulary = vocabulary
        self.place = place
        self.source = source
        self.beams = beams
        self.cutting = cutting

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
            return self._look(clip, windows, watch, job)

        facts = {
            "model": f"SwinBERT, {self.source}",
            "frames_per_window": self.model.config.max_num_frames,
            "beams": self.beams,
            "precision": self.place.precision,
            "device": self.place.device,
        }
        yield describe_clip(request, look, backend=SPEC.name, cutting=self.cutting, job=job, facts=facts)

    def _look(self, clip: Clip, windows: Sequence[Window], watch: Callable[[float], None], job: Job) -> list[Sentence]:
        import torch

        from musiscene.networks.swinbert import generate

        pictures = []
        for number, window in enumerate(windows):

            def reading(share: float, note: str, number: int = number) -> None:
                watch(_READ * (number + share) / len(windows))

            pictures.append(self._read(clip, window, Job(report=reading, stop=job.stop)))
        with torch.inference_mode():
            seen = self.model.visual_tokens(torch.stack(pictures), lambda share: watch(_READ + (_SEEN - _READ) * share))
            found = generate(
                self.model, seen, beams=self.beams, watch=lambda share: watch(_SEEN + (1.0 - _SEEN) * share)
            )
        confidence = found.log_probability.exp().tolist()
        return [
            Sentence(self.vocabulary.decode(ids), sure)
            for ids, sure in zip(found.ids.tolist(), confidence, strict=True)
        ]

    def _read(self, clip: Clip, window: Window, job: Job) -> Tensor:
        """The frames that the original's inference would look at, prepared: (frames, 3, side, side) float32."""
        from musiscene.networks.swinbert import frame_indices, prepare

        whole = window.end_s >= clip.duration_s and window.start_s <= 0
        end_s = None if whole else window.end_s
        times = media.frame_times(clip, start_s=window.start_s, end_s=end_s, job=job)
        chosen = times[frame_indices(len(times), self.model.config.max_num_frames)]
        pictures = media.iter_frames_at(clip, chosen, job=job)  # one by one: 64 frames of a 4K clip would be 1.6 GB
        return prepare((image for _, image in pictures), self.model.config.img_res)


def find_weights(options: Mapping[str, Any]) -> tuple[Path, str]:
    """Where the weights are that `options` mean, and what they are called.

    Raises:
        BackendUnavailableError: They are not on this machine; the message says what to do.
        ConfigError: `dataset` is not one of those published.
    """
    from musiscene import weights

    given = options.get("weights")
    dataset = options.get("dataset")
    if dataset is not None and dataset not in DATASETS:
        raise ConfigError(f"SwinBERT was not trained on {dataset!r}. Choose one of: {', '.join(DATASETS)}.")
    if given:
        path = Path(given).expanduser()
        if path.exists():
            return path, path.name
        raise BackendUnavailableError(f"There are no SwinBERT weights at {path}.")
    for name in (dataset,) if dataset else DATASETS:
        converted = weights.weights_dir() / f"swinbert-{name}-converted"
        path_found = converted if (converted / "model.safetensors").is_file() else weights.find(f"swinbert-{name}")
        if path_found:
            return path_found, name
    raise BackendUnavailableError(
        "SwinBERT's weights are not here: its authors' links have refused public access since 2025. If you have a "
        f"copy of a published zip, unpack it and run `musiscene weights use swinbert-{dataset or DATASETS[0]} FOLDER`."
    )


def _missing_weights(options: Mapping[str, Any]) -> str | None:
    try:
        find_weights(options)
    except (BackendUnavailableError, ConfigError) as error:
        return str(error)
    return None


def _load(options: Mapping[str, Any]) -> SwinBertCaptioner:
    from musiscene.networks.placement import place
    from musiscene.networks.swinbert import load

    path, name = find_weights(options)
    where = place(str(options.get("device", "auto")), str(options.get("precision", "auto")), exact=True)
    model, vocabulary = load(path, device=where.device, dtype=where.dtype)
    try:
        beams = int(options.get("beams") or model.config.num_beams)
    except (TypeError, ValueError):
        beams = 0
    if not 1 <= beams <= 16:
        raise ConfigError(f"SwinBERT can search with 1 to 16 beams, not {options.get('beams')!r}.")
    cutting = Cutting.from_options(options, batch=1 if where.device == "cpu" else _GPU_BATCH)
    _log.info("SwinBERT (%s) from %s on %s in %s", name, path, where.device, where.precision)
    return SwinBertCaptioner(model, vocabulary, place=where, source=name, beams=beams, cutting=cutting)


SPEC = BackendSpec(
    name="swinbert",
    load=_load,
    summary="The paper's video captioner: one sentence for about ten seconds, from 32 or 64 frames.",
    produces=frozenset({CaptionKind.VIDEO}),
    needs_picture=True,
    extra="models",
    packages=("torch", "transformers"),
    license="MIT (code); its publisher names none for the weights",
    vram_gb=2.0,
    missing_weights=_missing_weights,
)
