"""Background music for video that people can compare, rate and trust.

The main job in two calls:

```python
import musiscene

captions = musiscene.caption("clip.mp4")        # four captions, each with its evidence
result = musiscene.compare("clip.mp4", out="result")   # ... and a soundtrack from each, on the clip
```

Importing the package is cheap: neither NumPy nor torch nor gradio is imported before a verb is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Caption": "types",
    "CaptionKind": "types",
    "CaptionSet": "types",
    "Clip": "types",
    "Comparison": "api",
    "Description": "api",
    "Limits": "types",
    "MusisceneError": "errors",
    "Pipeline": "pipeline",
    "Rendition": "types",
    "Score": "api",
    "ScoreOptions": "pipeline",
    "Settings": "settings",
    "caption": "api",
    "compare": "api",
    "doctor": "api",
    "probe": "api",
    "score": "api",
    "serve": "api",
}
"""Public name -> the module that it lives in."""

__all__ = [  # noqa: RUF022 - the verbs first, in the order of the work; then the values
    "probe",
    "caption",
    "score",
    "compare",
    "doctor",
    "serve",
    "Caption",
    "CaptionKind",
    "CaptionSet",
    "Clip",
    "Comparison",
    "Description",
    "Limits",
    "MusisceneError",
    "Pipeline",
    "Rendition",
    "Score",
    "ScoreOptions",
    "Settings",
    "__version__",
]

if TYPE_CHECKING:
    from musiscene.api import Comparison, Description, Score, caption, compare, doctor, probe, score, serve
    from musiscene.errors import MusisceneError
    from musiscene.pipeline import Pipeline, ScoreOptions
    from musiscene.settings import Settings
    from musiscene.types import Caption, CaptionKind, CaptionSet, Clip, Limits, Rendition


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'musiscene' has no attribute {name!r}")
    return getattr(importlib.import_module(f"musiscene.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
