"""SwinBERT, a video captioner: frames -> video tokens -> words.

```python
model, vocabulary = load(Path("swinbert"))
frames = prepare(images, model.config.img_res)[None]
captions = generate(model, model.visual_tokens(frames))
print(vocabulary.decode(captions.ids[0].tolist()))
```
"""

from musiscene.networks.swinbert.checkpoint import Files, build, convert, find_files, load, read_config, read_weights
from musiscene.networks.swinbert.config import BertSizes, SwinBertConfig
from musiscene.networks.swinbert.decoding import CachedSteps, Generated, ReencodingSteps, generate
from musiscene.networks.swinbert.model import SwinBert, penalties
from musiscene.networks.swinbert.preprocess import frame_indices, prepare, stored_frame_indices
from musiscene.networks.swinbert.vocabulary import Vocabulary

__all__ = [
    "BertSizes",
    "CachedSteps",
    "Files",
    "Generated",
    "ReencodingSteps",
    "SwinBert",
    "SwinBertConfig",
    "Vocabulary",
    "build",
    "convert",
    "find_files",
    "frame_indices",
    "generate",
    "load",
    "penalties",
    "prepare",
    "read_config",
    "read_weights",
    "stored_frame_indices",
]
