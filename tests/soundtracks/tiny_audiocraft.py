"""Run by audiocraft's own Python: writes a tiny MusicGen with random weights in the layout that its authors publish.

python tiny_audiocraft.py WORKER FOLDER
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

CONFIG = """
device: cpu
dtype: float32
lm_model: transformer_lm
compression_model: encodec
channels: 1
sample_rate: 16000
transformer_lm:
  dim: 16
  num_heads: 2
  num_layers: 2
  hidden_scale: 2
  n_q: 4
  card: 40
  causal: true
  custom: true
  bias_ff: false
  bias_attn: false
  bias_proj: false
  norm_first: true
  weight_init: gaussian
codebooks_pattern:
  modeling: delay
  delay: {delays: [0, 1, 2, 3], flatten_first: 0, empty_initial: 0}
attribute_dropout: {}
classifier_free_guidance: {training_dropout: 0.1, inference_coef: 3.0}
fuser: {cross_attention_pos_emb: false, cross_attention_pos_emb_scale: 1, sum: [], prepend: [], cross: [description],
  input_interpolate: []}
conditioners:
  args: {}
  description: {model: t5, t5: {name: t5-small, finetune: false, word_dropout: 0.0, normalize_text: false}}
dataset: {segment_duration: 20}
encodec: {autoencoder: seanet, quantizer: rvq, sample_rate: 16000, channels: 1, causal: false, renormalize: false}
seanet: {dimension: 8, channels: 1, n_filters: 2, n_residual_layers: 1, ratios: [8, 5, 4, 2], causal: false, lstm: 1,
  encoder: {}, decoder: {}}
rvq: {n_q: 4, q_dropout: false, bins: 40}
"""
"""50 frames a second, windows of 20 s instead of 30, so that a test gets beyond one soon."""


def write_text_encoder(folder: Path) -> None:
    """A T5 of one layer, in the width of t5-small, with a tokenizer of letters."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

    letters = {token: i for i, token in enumerate(["<pad>", "</s>", "<unk>", *map(chr, range(32, 127))])}
    tokenizer = Tokenizer(models.WordLevel(letters, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    fast: Any = PreTrainedTokenizerFast
    fast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>").save_pretrained(folder)
    T5EncoderModel(
        T5Config(vocab_size=len(letters), d_model=512, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    ).save_pretrained(folder)


def main(worker: str, folder: Path) -> None:
    """Write `FOLDER/t5`, `FOLDER/model/state_dict.bin` and `FOLDER/model/compression_state_dict.bin`."""
    prepare = runpy.run_path(worker)
    prepare["prepare"]()
    import torch
    from audiocraft.models import builders  # type: ignore[import-not-found]
    from audiocraft.modules import conditioners  # type: ignore[import-not-found]
    from omegaconf import OmegaConf  # type: ignore[import-not-found]

    torch.manual_seed(0)
    write_text_encoder(folder / "t5")
    import transformers

    conditioners.T5Tokenizer = prepare["_Local"](transformers.AutoTokenizer, str(folder / "t5"))
    conditioners.T5EncoderModel = prepare["_Local"](transformers.T5EncoderModel, str(folder / "t5"))
    config = OmegaConf.create(CONFIG)
    model = folder / "model"
    model.mkdir()
    for file, made in (
        ("state_dict.bin", builders.get_lm_model(config)),
        ("compression_state_dict.bin", builders.get_compression_model(config)),
    ):
        state = made.state_dict()
        for name, value in state.items():
            if value.dtype.is_floating_point and value.ndim > 1:
                value.normal_(0.0, 0.5)
            elif name.endswith("inited"):
                value.fill_(1)
        torch.save({"best_state": state, "xp.cfg": OmegaConf.to_yaml(config), "version": "1.3.0"}, model / file)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
