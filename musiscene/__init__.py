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
    "Caption": "types.Caption",
    "CaptionKind": "types.CaptionKind",
    "CaptionSet": "types.CaptionSet",
    "Clip": "types.Clip",
    "Comparison": "results.Comparison",
    "Description": "results.Description",
    "Limits": "types.Limits",
    "MusisceneError": "errors.MusisceneError",
    "Pipeline": "pipeline.Pipeline",
    "Rendition": "types.Rendition",
    "Score": "results.Score",
    "ScoreOptions": "pipeline.ScoreOptions",
    "Settings": "settings.Settings",
    "caption": "api.caption",
    "compare": "api.compare",
    "doctor": "api.doctor",
    "probe": "api.probe",
    "score": "api.score",
    "serve": "ui.launch_app",
}
"""Public name -> where it lives."""

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
    from musiscene.api import caption, compare, doctor, probe, score
    from musiscene.errors import MusisceneError
    from musiscene.pipeline import Pipeline, ScoreOptions
    from musiscene.results import Comparison, Description, Score
    from musiscene.settings import Settings
    from musiscene.types import Caption, CaptionKind, CaptionSet, Clip, Limits, Rendition
    from musiscene.ui import launch_app as serve


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'musiscene' has no attribute {name!r}")
    module, attribute = _HOMES[name].split(".")
    return getattr(importlib.import_module(f"musiscene.{module}"), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
