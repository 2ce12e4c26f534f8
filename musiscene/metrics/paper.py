"""What the paper printed, to stand beside what is computed here; only values that this project has seen."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SOURCE = "MusiScene, arXiv 2507.05894, table 3"
MUSIC: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "msi": MappingProxyType({"fad": 5.78, "kl": 2.10}),
        "video": MappingProxyType({"fad": 4.46, "kl": 2.13}),
        "music": MappingProxyType({"fad": 6.43, "kl": 2.12}),
        "fusion": MappingProxyType({"fad": 6.62, "kl": 2.05}),
    }
)
MUSIC_UNKNOWN = (
    "The paper does not say how long its clips were, how many there were, which PaSST it used, or from when its VGGish "
    "code is. Its values are points of reference, not targets to the second digit."
)

CAPTIONS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {"MU-LLaMA on MusicQA": MappingProxyType({"bleu": 0.306, "meteor": 0.385, "rouge_l": 0.466, "bertscore": 0.901})}
)
CAPTIONS_UNKNOWN = (
    "Table 2 of the MusiScene paper is not reproduced here: its values are not part of this project's sources. The row "
    "of MU-LLaMA is what its authors published, on other data; it shows the protocol's usual range."
)
