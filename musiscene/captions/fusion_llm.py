"""Fusion by a language model: the video and the music caption merged into one, as in the paper (section 3).

Which model is asked is a setting of the installation (docs/language-models.md).
"""

from __future__ import annotations

from musiscene.captions._language.captioner import LanguageTask
from musiscene.types import CaptionKind

SPEC = LanguageTask("llm", CaptionKind.FUSION, prompt="fusion", made_from=(CaptionKind.VIDEO, CaptionKind.MUSIC)).spec(
    "A language model merges the video and the music caption, as in the paper."
)
