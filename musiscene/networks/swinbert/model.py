"""SwinBERT: a video backbone whose features are read by a BERT that fills in the next word (inference only).

Lin et al., "SwinBERT: End-to-End Transformers with Sparse Attention for Video Captioning", CVPR 2022. Parameters have
the names and shapes of the published `model.bin`. The transformer's layers are those of `transformers`; its heads and
what is SwinBERT's own (video tokens, the learned mask between them) are put together here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertForMaskedLM

from musiscene.networks.packed_linear import pack
from musiscene.networks.swinbert.config import SwinBertConfig
from musiscene.networks.video_swin import VideoSwin, Watch, ignore_progress

MASK_PENALTY = -10000.0
"""Added to a score where looking is not allowed; parts of it where the learned mask is in between."""


class _Backbone(nn.Module):
    """Holds the backbone under the name that it has in the checkpoints."""

    def __init__(self, config: SwinBertConfig) -> None:
        super().__init__()
        self.backbone = VideoSwin(config.swin)


class SwinBert(nn.Module):
    """The network. Safe to run from several threads at once: nothing in it changes after loading."""

    def __init__(self, config: SwinBertConfig) -> None:
        super().__init__()
        self.config = config
        self.swin = _Backbone(config)
        self.fc = nn.Linear(config.swin.out_channels, config.img_feature_dim)
        self.trans_encoder = _text_transformer(config)
        tokens = config.visual_tokens
        self.learn_vid_att = nn.Embedding(tokens * tokens, 1) if config.learn_mask_enabled else None

    @property
    def bert(self) -> Any:
        """The transformer of words and video tokens."""
        return self.trans_encoder.bert

    @property
    def dtype(self) -> torch.dtype:
        """Number type that it computes in."""
        return self.fc.weight.dtype

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.fc.weight.device

    def in_precision(self, dtype: torch.dtype) -> SwinBert:
        """Compute in `dtype` from now on (in place); the learned mask stays float32.

        The mask multiplies 1 - sigmoid(w) by 10,000, so a rounded w would let other tokens be seen.
        """
        exact = None if self.learn_vid_att is None else self.learn_vid_att.weight.data
        self.to(dtype)
        if self.learn_vid_att is not None and exact is not None:
            self.learn_vid_att.weight.data = exact.float()
        return self

    def ready(self) -> SwinBert:
        """Prepare for writing words on a CPU, each of which is two rows (in place); call it after the last move."""
        pack(self.trans_encoder)
        return self

    def features(self, frames: Tensor, watch: Watch = ignore_progress) -> Tensor:
        """Features of prepared frames (batch, frames, colour, height, width), shape (batch, tokens, channels)."""
        maps = self.swin.backbone(frames.to(self.device, self.dtype).transpose(1, 2), watch)
        flat: Tensor = maps.flatten(1, 3)
        return flat

    def visual_tokens(self, frames: Tensor, watch: Watch = ignore_progress) -> Tensor:
        """What the transformer sees of the clip, shape (batch, tokens, hidden): no position, no type, no norm."""
        tokens: Tensor = self.bert.img_embedding(self.fc(self.features(frames, watch)))
        return tokens

    def video_visibility(self) -> Tensor:
        """How well video token i (row) sees token j (column), 0 to 1, float32, shape (tokens, tokens)."""
        tokens = self.config.visual_tokens
        if self.learn_vid_att is None:
            return torch.ones(tokens, tokens, device=self.device)
        eye = torch.eye(tokens, device=self.device)
        learned = torch.sigmoid(self.learn_vid_att.weight.float().view(tokens, tokens))
        seen = eye + (1.0 - eye) * learned
        return (seen >= 0.5).float() if self.config.sparse_mask_soft2hard else seen

    def visibility(self, text_length: int) -> Tensor:
        """The same for `text_length` words followed by the video tokens: words look back and at the whole video."""
        tokens = self.config.visual_tokens
        whole = torch.zeros(text_length + tokens, text_length + tokens, device=self.device)
        whole[:text_length, :text_length] = torch.ones(text_length, text_length, device=self.device).tril()
        whole[:text_length, text_length:] = 1.0
        whole[text_length:, text_length:] = self.video_visibility()
        return whole

    def embed_words(self, ids: Tensor, first_position: int = 0) -> Tensor:
        """Ids (batch, length) that start at `first_position` -> embeddings (batch, length, hidden)."""
        positions = torch.arange(first_position, first_position + ids.shape[1], device=ids.device).expand_as(ids)
        embedded: Tensor = self.bert.embeddings(
            input_ids=ids, position_ids=positions, token_type_ids=torch.zeros_like(ids)
        )
        return embedded

    def forward(self, ids: Tensor, visual_tokens: Tensor) -> Tensor:
        """Run words (batch, length) and video tokens through every layer, as the original does for every word.

        Returns the last layer's states (batch, length + tokens, hidden), words first.
        """
        hidden = torch.cat([self.embed_words(ids), visual_tokens], dim=1)
        additive = penalties(self.visibility(ids.shape[1])).to(hidden.dtype)
        states: Tensor = self.bert.encoder(
            hidden, attention_mask=additive.expand(len(ids), 1, -1, -1)
        ).last_hidden_state
        return states

    def word_logits(self, states: Tensor) -> Tensor:
        """Scores of every word of the vocabulary, float32, from states of the last layer."""
        logits: Tensor = self.trans_encoder.cls(states)
        return logits.float()


def penalties(visibility: Tensor) -> Tensor:
    """What is added to attention scores. Exactly this order in float32 is what published captions depend on."""
    return (1.0 - visibility) * MASK_PENALTY


def _text_transformer(config: SwinBertConfig) -> Any:
    sizes = config.bert
    layout: Any = BertConfig  # its keywords are typed only in part
    transformer: Any = BertForMaskedLM(
        layout(
            hidden_size=sizes.hidden_size,
            num_hidden_layers=sizes.num_hidden_layers,
            num_attention_heads=sizes.num_attention_heads,
            intermediate_size=sizes.intermediate_size,
            max_position_embeddings=sizes.max_position_embeddings,
            vocab_size=sizes.vocab_size,
            type_vocab_size=sizes.type_vocab_size,
            layer_norm_eps=sizes.layer_norm_eps,
            pad_token_id=config.pad_id,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            tie_word_embeddings=False,  # the checkpoints hold an output matrix of their own
            attn_implementation="sdpa",
        )
    )
    transformer.bert.img_embedding = nn.Linear(config.img_feature_dim, sizes.hidden_size)
    head = transformer.cls.predictions
    head.decoder.bias = head.bias  # transformers adds the decoder's bias, the checkpoints hold the head's
    return transformer
