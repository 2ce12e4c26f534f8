"""A scene for a silent video: imagined from the picture by a language model, and marked as such.

Music Scene Imagination hears; without sound there is nothing to hear. This gives a silent clip a scene all the same,
for who asks for it by name; its evidence says that it comes from the picture.
"""

from __future__ import annotations

from musiscene.captions._language.captioner import LanguageTask
from musiscene.types import CaptionKind

SPEC = LanguageTask(
    "llm-picture",
    CaptionKind.MSI,
    prompt="scene-from-picture",
    made_from=(CaptionKind.VIDEO,),
    evidence={"imagined_from": "the picture", "heard": False},
).spec("A language model imagines a scene from the picture, for clips without sound.")
