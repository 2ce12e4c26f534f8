"""Make the sketch backends ready while nobody waits for them: the first comparison is then as quick as the next."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import threading
import time

from musiscene.pipeline import Pipeline
from musiscene.registry import find_generator
from musiscene.types import Caption, CaptionKind, Job, ScoreRequest

_log = logging.getLogger(__name__)

_MODULES = (
    *("scipy.signal", "scipy.fft", "cv2", "scenedetect", "symusic"),
    *("musiscene.media.loudness", "musiscene.media.levelling", "musiscene.mux"),
    *("musiscene.captions._music.analysis", "musiscene.captions._video.analysis"),
)
_SENTENCE = "Calm ambient music with piano and strings, 70 BPM."


def warm(pipeline: Pipeline, stop: threading.Event | None = None, after_s: float = 0.0) -> threading.Thread:
    """Begin to warm up in a thread of low priority, `after_s` from now; `stop` ends it between two steps."""
    thread = threading.Thread(
        target=_warm, args=(pipeline, stop or threading.Event(), after_s), name="musiscene-warm", daemon=True
    )
    thread.start()
    return thread


def _warm(pipeline: Pipeline, stop: threading.Event, after_s: float) -> None:
    if stop.wait(after_s):
        return
    with contextlib.suppress(AttributeError, OSError):  # on Linux a priority belongs to a thread
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
    started = time.perf_counter()
    try:
        for module in _MODULES:
            if stop.is_set():
                return
            with contextlib.suppress(ImportError):
                importlib.import_module(module)
        if "sketch" in {*pipeline.profile.captioners.values(), pipeline.profile.generator}:
            caption = Caption(CaptionKind.FUSION, _SENTENCE, "sketch")
            generator = pipeline.pool.generator(find_generator("sketch"))  # reads the SoundFont
            for _ in generator.generate([ScoreRequest(caption, 1.0)], Job(stop=stop)):  # and the reverberation
                pass
    except Exception:  # noqa: BLE001 - what fails here fails again, in words, where somebody asked for it
        _log.debug("warming up ended early", exc_info=True)
    _log.info("warm after %.1f s", time.perf_counter() - started)
