"""A bank of film-like scenes, each placed on the axes that music is felt on.

The MSI captioner goes from measured music to a scene (`nearest`); the arranger goes from words to a scene (`find`) and
from there to styles, tempo and mode. `all_scenes` lists them.
"""

from __future__ import annotations

from musiscene.scenes.bank import Scene, all_scenes, scene
from musiscene.scenes.search import find
from musiscene.scenes.space import nearest

__all__ = ["Scene", "all_scenes", "find", "nearest", "scene"]
