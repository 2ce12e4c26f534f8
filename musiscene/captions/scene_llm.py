"""Music Scene Imagination by a language model: the scene that the music caption suggests.

It reads the music caption, it does not hear the music; the paper's scene model does.
"""

from __future__ import annotations

from musiscene.captions._language.captioner import LanguageTask
from musiscene.types import CaptionKind

SPEC = LanguageTask(
    "llm",
    CaptionKind.MSI,
    prompt="scene-from-music",
    made_from=(CaptionKind.MUSIC,),
    evidence={"imagined_from": "the music caption"},
).spec("A language model imagines the scene that the music caption suggests.")
