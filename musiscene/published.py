"""What is published: every weight that some part of the project can use, with its source and licence.

A revision is a commit where one is known for certain, else "main". Either way `weights.download` asks the hub for the
commit and the checksums when it fetches, compares what arrives with them, and notes them beside the files; what "main"
was the first time is what is fetched from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from musiscene.errors import ConfigError

_TOKENIZER = ("tokenizer*", "special_tokens_map.json", "vocab.*", "merges.txt")
_CONFIGS = ("config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json")
_SAFETENSORS = ("*.safetensors", "*.safetensors.index.json")

PRECISIONS = ("bfloat16", "float16", "float32", "int8")
"""What MU-LLaMA's merged LLaMA can be stored in."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What is known of some weights without having them.

    Attributes:
        name: Name of its folder and on the command line.
        summary: What it is and who uses it.
        license: Its licence, as its publisher names it.
        repo_id: Repository on the Hugging Face hub; empty when it is published nowhere.
        revision: What is fetched there; the commit that it stood for is noted when it is.
        files: Patterns of the files that are fetched.
        size_gb: About what it takes on disk.
        urls: Addresses of single files, where it is published elsewhere than on the hub.
        digest_prefix: What the SHA-256 of that file begins with, where its publisher names that.
        request_url: Page on which access is asked for; empty when it is open.
        hint: How to get it when it cannot be downloaded.
    """

    name: str
    summary: str
    license: str
    repo_id: str = ""
    revision: str = "main"
    files: tuple[str, ...] = ()
    size_gb: float = 0.0
    urls: tuple[str, ...] = ()
    digest_prefix: str = ""
    request_url: str = ""
    hint: str = ""

    @property
    def gated(self) -> bool:
        """Whether its publisher must be asked for access first."""
        return bool(self.request_url)


_MUSICGEN_COMMITS: Mapping[str, str] = MappingProxyType(
    {
        "small": "4c8334b02c6ec4e8664a91979669a501ec497792",
        "medium": "d3bd7b00761b78ad7a8a05145ee31e7832e9916c",
        "large": "15ccdc92099879e47b6da12c350cdb71d4eab3ca",
        "melody": "68d653a95788ec0d2b0abccab22c0b3a200c2d90",
        "melody-large": "6fdf8d3d815995108c9bdb5183414ff464b171ac",
    }
)
"""Commits that several public projects name alike; of the stereo models none is known so well."""


def _musicgen(size: str, gb: float) -> Weights:
    return Weights(
        name=f"musicgen-{size}",
        summary=f"MusicGen {size}: soundtracks from words.",
        license="CC-BY-NC-4.0",
        repo_id=f"facebook/musicgen-{size}",
        revision=_MUSICGEN_COMMITS.get(size, "main"),
        files=(*_CONFIGS, *_TOKENIZER, "spiece.model", *_SAFETENSORS),
        size_gb=gb,
    )


def _audiocraft(size: str, gb: float) -> Weights:
    return Weights(
        name=f"audiocraft-musicgen-{size}",
        summary=f"MusicGen {size} in its authors' layout, for the audiocraft backend (with t5-base).",
        license="CC-BY-NC-4.0",
        repo_id=f"facebook/musicgen-{size}",
        revision=_MUSICGEN_COMMITS.get(size, "main"),
        files=("state_dict.bin", "compression_state_dict.bin"),
        size_gb=gb,
    )


def _smolvlm2(size: str, repo: str, gb: float) -> Weights:
    return Weights(
        name=f"smolvlm2-{size}",
        summary=f"SmolVLM2 {size.upper()}: video captions from a small vision-language model.",
        license="Apache-2.0",
        repo_id=f"HuggingFaceTB/{repo}",
        files=(*_CONFIGS, *_TOKENIZER, "added_tokens.json", *_SAFETENSORS),
        size_gb=gb,
    )


def _passt(seconds: int, release: str, file: str) -> Weights:
    return Weights(
        name=f"passt-{seconds}s",
        summary=f"PaSST for {seconds} s, trained on AudioSet: the KL divergence of music.",
        license="Apache-2.0",
        urls=(f"https://github.com/kkoutini/PaSST/releases/download/{release}/{file}",),
        size_gb=0.3,
    )


def _swinbert(name: str) -> Weights:
    return Weights(
        name=f"swinbert-{name}",
        summary=f"SwinBERT trained on {name.upper()}: video captions.",
        license="MIT (code); its publisher names none for the weights",
        size_gb=0.9,
        hint="Its authors' links have refused public access since 2025. Name a copy of the unpacked zip: "
        f"`musiscene weights use swinbert-{name} FOLDER`.",
    )


_ENTRIES = (
    Weights(
        name="mu-llama",
        summary="MU-LLaMA's checkpoint: music captions and, without a MusiScene adapter, scenes.",
        license="GPL-3.0 (code); see its page for the weights",
        repo_id="mu-llama/MU-LLaMA",
        files=("checkpoint.pth",),
        size_gb=17.3,
    ),
    Weights(
        name="llama-2-7b-chat-hf",
        summary="LLaMA 2 7B chat in Hugging Face's layout: the language model and tokenizer of MU-LLaMA.",
        license="Llama 2 Community License",
        repo_id="meta-llama/Llama-2-7b-chat-hf",
        files=("config.json", "tokenizer*", *_SAFETENSORS),
        size_gb=13.5,
        request_url="https://huggingface.co/meta-llama/Llama-2-7b-chat-hf",
    ),
    Weights(
        name="llama-2-7b-chat",
        summary="The same in Meta's layout, as MU-LLaMA's authors used it.",
        license="Llama 2 Community License",
        repo_id="meta-llama/Llama-2-7b-chat",
        files=("consolidated.*.pth", "params.json", "tokenizer.model"),
        size_gb=13.5,
        request_url="https://huggingface.co/meta-llama/Llama-2-7b-chat",
    ),
    Weights(
        name="mert-v1-330m",
        summary="MERT v1 330M: the ear of MU-LLaMA.",
        license="CC-BY-NC-4.0",
        repo_id="m-a-p/MERT-v1-330M",
        files=("config.json", "pytorch_model.bin"),
        size_gb=1.3,
    ),
    Weights(
        name="mert-v1-95m",
        summary="MERT v1 95M: a smaller ear, for training.",
        license="CC-BY-NC-4.0",
        repo_id="m-a-p/MERT-v1-95M",
        files=("config.json", "pytorch_model.bin"),
        size_gb=0.4,
    ),
    Weights(
        name="musiscene",
        summary="A MusiScene adapter over MU-LLaMA: Music Scene Imagination.",
        license="that of whoever trained it",
        hint="Its authors have published none. Train one, then run `musiscene weights use musiscene FILE`.",
    ),
    Weights(
        name="mu-llama-merged",
        summary="MU-LLaMA merged with its LLaMA in bfloat16, for quick starts.",
        license="that of its two sources",
        size_gb=16.1,
        hint="It is made here: `musiscene weights convert mu-llama`.",
    ),
    *(_swinbert(name) for name in ("vatex", "msrvtt", "msvd", "tvc", "youcook2")),
    Weights(
        name="git-base-vatex",
        summary="GIT base trained on VATEX: video captions.",
        license="MIT",
        repo_id="microsoft/git-base-vatex",
        files=(*_CONFIGS, *_TOKENIZER, *_SAFETENSORS),
        size_gb=0.7,
    ),
    _smolvlm2("500m", "SmolVLM2-500M-Video-Instruct", 2.0),
    _smolvlm2("2.2b", "SmolVLM2-2.2B-Instruct", 9.0),
    Weights(
        name="mixtral-8x7b-instruct",
        summary="Mixtral 8x7B Instruct v0.1: the paper's fusion captions and scene targets.",
        license="Apache-2.0",
        repo_id="mistralai/Mixtral-8x7B-Instruct-v0.1",
        files=("config.json", "generation_config.json", *_TOKENIZER, "model*.safetensors", "*.index.json"),
        size_gb=93.4,
    ),
    Weights(
        name="qwen3-4b-instruct",
        summary="Qwen3 4B Instruct 2507: fusion captions and scenes on a laptop.",
        license="Apache-2.0",
        repo_id="Qwen/Qwen3-4B-Instruct-2507",
        revision="cdbee75f17c01a7cc42f958dc650907174af0554",
        files=("config.json", "generation_config.json", *_TOKENIZER, *_SAFETENSORS),
        size_gb=8.1,
    ),
    Weights(
        name="qwen3-1.7b",
        summary="Qwen3 1.7B: the same in half the memory, less well.",
        license="Apache-2.0",
        repo_id="Qwen/Qwen3-1.7B",
        revision="70d244cc86ccca08cf5af4e1e306ecf908b1ad5e",
        files=("config.json", "generation_config.json", *_TOKENIZER, *_SAFETENSORS),
        size_gb=4.1,
    ),
    Weights(
        name="vggish",
        summary="VGGish in PyTorch: the Fréchet audio distance.",
        license="Apache-2.0",
        urls=("https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",),
        digest_prefix="10086976",
        size_gb=0.3,
    ),
    _passt(20, "v0.0.5", "passt-s-f128-20sec-p16-s10-ap.474-swa.pt"),
    _passt(10, "v0.0.1-audioset", "passt-s-f128-p16-s10-ap.476-swa.pt"),
    _passt(30, "v0.0.5", "passt-s-f128-30sec-p16-s10-ap.473-swa.pt"),
    Weights(
        name="clap-music",
        summary="CLAP trained on music: how well soundtracks fit their words.",
        license="Apache-2.0",
        repo_id="laion/larger_clap_music",
        files=(*_CONFIGS, *_TOKENIZER, *_SAFETENSORS, "pytorch_model.bin"),
        size_gb=0.8,
    ),
    Weights(
        name="roberta-large",
        summary="RoBERTa large: BERTScore of captions.",
        license="MIT",
        repo_id="FacebookAI/roberta-large",
        files=("config.json", *_TOKENIZER, "model.safetensors"),
        size_gb=1.4,
    ),
    _musicgen("small", 2.4),
    _musicgen("medium", 8.1),
    _musicgen("large", 13.6),
    _musicgen("melody", 6.3),
    _musicgen("melody-large", 13.6),
    _musicgen("stereo-small", 2.4),
    _musicgen("stereo-medium", 8.1),
    _musicgen("stereo-large", 13.6),
    _musicgen("stereo-melody", 6.3),
    *(_audiocraft(size, gb) for size, gb in (("small", 1.1), ("medium", 3.9), ("large", 6.8), ("melody", 3.9))),
    Weights(
        name="t5-base",
        summary="T5 base: the text encoder that audiocraft's checkpoints do not carry.",
        license="Apache-2.0",
        repo_id="google-t5/t5-base",
        files=("config.json", "generation_config.json", "spiece.model", *_TOKENIZER, "model.safetensors"),
        size_gb=0.9,
    ),
)

MANIFEST: Mapping[str, Weights] = MappingProxyType({weights.name: weights for weights in _ENTRIES})
"""Every weight that some part of the project can use, by name."""


def entry(name: str) -> Weights:
    """The weights called `name`.

    Raises:
        ConfigError: There are none of that name; the message lists those there are.
    """
    try:
        return MANIFEST[name]
    except KeyError:
        raise ConfigError(f"There are no weights named {name!r}. Choose one of: {', '.join(MANIFEST)}.") from None


def next_step(name: str) -> str:
    """What to do to get some weights, in one sentence."""
    weights = entry(name)
    if weights.hint:
        return weights.hint
    step = f"Run `musiscene weights download {name}` ({weights.size_gb:g} GB, {weights.license})."
    if weights.gated:
        step = f"Ask for access at {weights.request_url}, log in with `hf auth login`, then: {step}"
    return step
