"""A tiny MU-LLaMA for the page's tests: the network of the parity set where there is one, else a random one."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from e2e_page import REPOSITORY

_WORDS = (
    "a",
    "calm",
    "slow",
    "bright",
    "soft",
    "piano",
    "cello",
    "strings",
    "drums",
    "rain",
    "night",
    "waltz",
    "tempo",
)


def install_listener(folder: Path, data_dir: Path) -> None:
    """Put the network into `folder`, and tell the installation with its data in `data_dir` where it lies."""
    parity = Path(os.environ.get("MUSISCENE_PARITY") or REPOSITORY.parent / "shared" / "parity") / "mu_llama"
    if (parity / "tiny_config.json").is_file():
        _from_parity(parity, folder)
    else:
        from musiscene.networks.mu_llama.tiny import write_tiny

        write_tiny(folder)
    places = {"mu-llama": "adapter.safetensors", "llama-2-7b-chat-hf": "base", "mert-v1-330m": "mert"}
    for name, place in places.items():
        note = data_dir / "weights" / name
        note.mkdir(parents=True)
        from musiscene.weights import use

        use(name, folder / place, data_dir / "weights")


def _from_parity(parity: Path, folder: Path) -> None:
    for part in ("base", "mert"):
        (folder / part).mkdir(parents=True)
    shutil.copy(parity / "tiny_adapter_checkpoint.safetensors", folder / "adapter.safetensors")
    shutil.copy(parity / "tiny_llama_meta.safetensors", folder / "base" / "consolidated.00.safetensors")
    shutil.copy(parity / "tiny_mert_large_style.safetensors", folder / "mert" / "model.safetensors")
    shutil.copy(parity / "tiny_mert_large_style_config.json", folder / "mert" / "config.json")
    size = int(json.loads((parity / "tiny_config.json").read_text("utf-8"))["vocab_size"])
    _tokenizer(size).save(str(folder / "base" / "tokenizer.json"))


def _tokenizer(size: int):  # type: ignore[no-untyped-def]
    """As many tokens as the network has: LLaMA's three, letters, and a few words that an answer is then made of."""
    from tokenizers import Tokenizer, decoders, normalizers
    from tokenizers.models import BPE

    letters = ["▁", *(chr(code) for code in range(33, 127))]
    tokens = ["<unk>", "<s>", "</s>", *letters, *(f"▁{word}" for word in _WORDS)][:size]
    tokens += [f"▁word{index}" for index in range(size - len(tokens))]
    tokenizer = Tokenizer(BPE({token: index for index, token in enumerate(tokens)}, [], unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return tokenizer
