"""MusicGens with random weights, in the published structure: for tests and for measuring speed without a download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 3, "num_attention_heads": 4},
    "small": {"hidden_size": 1024, "ffn_dim": 4096, "num_hidden_layers": 24, "num_attention_heads": 16},
    "medium": {"hidden_size": 1536, "ffn_dim": 6144, "num_hidden_layers": 48, "num_attention_heads": 24},
    "large": {"hidden_size": 2048, "ffn_dim": 8192, "num_hidden_layers": 48, "num_attention_heads": 32},
}
"""Decoder sizes of the published models (Copet et al. 2023, section 3.1), and one for tests."""


def random_musicgen(
    size: str = "tiny", *, channels: int = 1, text_width: int = 0, seed: int = 0, melody: bool = False
) -> Any:
    """A `MusicgenForConditionalGeneration` (or `MusicgenMelodyForConditionalGeneration`) that speaks nonsense.

    Its weights are larger than a fresh initialisation's, under which every code is about as probable as any other.

    Args:
        size: One of `SIZES`.
        channels: 1, or 2 for the stereo variants.
        text_width: Width of the text encoder; that of the published models (768) when 0, 24 for the tiny one.
        seed: The same seed, the same nonsense.
        melody: In the structure of the melody models.
    """
    import transformers
    from transformers import EncodecConfig, T5Config

    kind = "MusicgenMelody" if melody else "Musicgen"
    config, decoder_config, network = (
        getattr(transformers, f"{kind}{name}") for name in ("Config", "DecoderConfig", "ForConditionalGeneration")
    )

    tiny = size == "tiny"
    codes = 64 if tiny else 2048
    width = text_width or (24 if tiny else 768)
    text: dict[str, Any] = {"vocab_size": 32128, "d_model": width}
    text |= (
        {"d_ff": 32, "d_kv": 8, "num_layers": 2, "num_heads": 3}
        if tiny
        else {"d_ff": 3072, "num_layers": 12, "num_heads": 12}
    )
    sound: dict[str, Any] = {
        "sampling_rate": 16000 if tiny else 32000,
        "upsampling_ratios": [5, 4, 4, 4] if tiny else [8, 5, 4, 4],
        "num_filters": 4 if tiny else 64,
        "hidden_size": 16 if tiny else 128,
        "codebook_dim": 16 if tiny else 128,
        "codebook_size": codes,
        "target_bandwidths": [1.2 if tiny else 2.2],
        "use_causal_conv": False,
        "norm_type": "weight_norm",
        "num_lstm_layers": 2,
    }
    torch.manual_seed(seed)
    model: Any = network(
        config(
            text_encoder=T5Config(**text).to_dict(),
            audio_encoder=EncodecConfig(**sound).to_dict(),
            decoder=decoder_config(
                vocab_size=codes,
                num_codebooks=4 * channels,
                audio_channels=channels,
                pad_token_id=codes,
                bos_token_id=codes,
                **SIZES[size],
            ).to_dict(),
            **({"chroma_length": 24 if tiny else 235} if melody else {}),
        )
    )
    model.eval()
    with torch.no_grad():
        if tiny:
            for name, weight in model.decoder.named_parameters():
                if weight.ndim == 2:
                    weight.mul_(8.0 if "lm_heads" in name or "embed" in name else 5.0)
            if melody:  # or one tune would sound like another
                model.audio_enc_to_dec_proj.weight.mul_(50.0)
        for name, table in model.audio_encoder.named_buffers():
            if name.endswith("codebook.embed"):  # all zero when fresh: every sound would be the same
                table.normal_()
    generation = model.generation_config
    generation.pad_token_id = generation.decoder_start_token_id = generation.bos_token_id = codes
    return model


def save_with_tokenizer(model: Any, folder: Path) -> Path:
    """Write `model` in the published layout, with a tokenizer of words made here."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = [chr(c) for c in range(32, 127)]
    vocabulary = {token: i for i, token in enumerate(["<pad>", "</s>", "<unk>", *letters])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", vocabulary["</s>"])]
    )
    made: Any = PreTrainedTokenizerFast
    made(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>").save_pretrained(folder)
    model.save_pretrained(folder)
    return folder
