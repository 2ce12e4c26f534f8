"""Words from language models: prompts, three ways to reach a model, cleaning and guards.

```text
prompts.json -> prompts   render a named template                 asking -> background -> local  (transformers, here)
                cleaning  an answer -> one clean paragraph                             -> server (OpenAI protocol)
                guards    refusals, echoes, loops                                      -> hub    (InferenceClient)
                brief     what a music generator reads of it      source  which model, loaded once
                targets   training targets for the scene model
```

Nothing here imports torch, transformers, httpx or huggingface_hub before a model is asked.
"""

from musiscene.captions._language.asking import Answer, Waits, ask
from musiscene.captions._language.brief import music_brief, reading_limit, shorten
from musiscene.captions._language.model import Delta, LanguageModel, LanguageModelError, Sampling
from musiscene.captions._language.prompts import Template, find_template, list_templates
from musiscene.captions._language.source import Connection, ModelSource
from musiscene.captions._language.targets import SceneTarget, scene_target

__all__ = [
    "Answer",
    "Connection",
    "Delta",
    "LanguageModel",
    "LanguageModelError",
    "ModelSource",
    "Sampling",
    "SceneTarget",
    "Template",
    "Waits",
    "ask",
    "find_template",
    "list_templates",
    "music_brief",
    "reading_limit",
    "scene_target",
    "shorten",
]
