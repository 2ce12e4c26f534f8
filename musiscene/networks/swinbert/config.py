"""Sizes and habits of a SwinBERT checkpoint: from a JSON document, from the authors' `args.json`, from the weights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from musiscene.errors import ConfigError
from musiscene.networks.video_swin import Size3, VideoSwinConfig

_SWIN = "swin.backbone."
_BERT = "trans_encoder.bert."
_PATCHES_PER_SIDE = 32
"""A video token stands for 32 x 32 pixels (patches of 4, merged three times) …"""
_FRAMES_PER_TOKEN = 2
"""… and two frames."""


@dataclass(frozen=True, slots=True)
class BertSizes:
    """Sizes of the text and fusion transformer; the defaults are those of bert-base-uncased."""

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    max_position_embeddings: int = 512
    vocab_size: int = 30522
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12


@dataclass(frozen=True, slots=True)
class SwinBertConfig:
    """Everything that is not a weight.

    Attributes:
        swin: The backbone.
        bert: The transformer that words and video tokens go through.
        img_feature_dim: Width between the two linear layers that lead from features to video tokens.
        max_num_frames: Frames that are looked at.
        img_res: Side of a frame in pixels.
        learn_mask_enabled: Which video token may look at which is learned.
        sparse_mask_soft2hard: That mask is cut at 0.5 instead of used as it is.
        max_gen_length: Longest caption in tokens, with its first and last mark.
        num_beams: Beams of the search; 1 is greedy.
        length_penalty: Exponent of the length that a beam's score is divided by.
        pad_id: Filler. The ids are those of bert-base-uncased.
        unk_id: Unknown word.
        cls_id: First mark.
        sep_id: Last mark.
        mask_id: "What comes here?"
    """

    swin: VideoSwinConfig = field(default_factory=VideoSwinConfig)
    bert: BertSizes = field(default_factory=BertSizes)
    img_feature_dim: int = 512
    max_num_frames: int = 32
    img_res: int = 224
    learn_mask_enabled: bool = True
    sparse_mask_soft2hard: bool = False
    max_gen_length: int = 20
    num_beams: int = 1
    length_penalty: float = 1.0
    pad_id: int = 0
    unk_id: int = 100
    cls_id: int = 101
    sep_id: int = 102
    mask_id: int = 103

    def __post_init__(self) -> None:
        if self.max_num_frames < 1 or self.img_res < 1:
            raise ConfigError(f"SwinBERT cannot look at {self.max_num_frames} frames of {self.img_res} pixels.")
        if not 3 <= self.max_gen_length <= self.bert.max_position_embeddings:
            raise ConfigError(
                f"max_gen_length must be from 3 to {self.bert.max_position_embeddings}, got {self.max_gen_length}."
            )
        if self.num_beams < 1:
            raise ConfigError(f"num_beams must be at least 1, got {self.num_beams}.")

    @property
    def visual_tokens(self) -> int:
        """Video tokens of one clip: 784 for 32 frames of 224 pixels."""
        side = self.img_res // _PATCHES_PER_SIDE
        return int(self.max_num_frames / _FRAMES_PER_TOKEN * side * side)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> SwinBertConfig:
        """Read the nested layout that `to_dict` writes; what is absent keeps its default, what is unknown is ignored.

        Raises:
            ConfigError: An option has the wrong type or asks for something that is not supported.
        """
        try:
            parts = {name: dict(document.get(name) or {}) for name in ("swin", "bert", "model", "text", "generation")}
            swin = _known(VideoSwinConfig(), parts["swin"])
            options = {**parts["model"], **parts["generation"], **parts["text"]}
            renamed = {new: options[old] for new, old in _ID_NAMES.items() if old in options}
            own = _known(cls(), {**options, **renamed}, leave_out=("swin", "bert"))
            config: SwinBertConfig = replace(own, swin=swin, bert=_known(BertSizes(), parts["bert"]))
        except (TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"The SwinBERT configuration cannot be read: {error}.") from error
        return config

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready document that `from_dict` reads."""
        text = {old: getattr(self, new) for new, old in _ID_NAMES.items()} | {"max_gen_length": self.max_gen_length}
        model_names = ("img_feature_dim", "max_num_frames", "img_res", "learn_mask_enabled", "sparse_mask_soft2hard")
        return {
            "swin": asdict(self.swin),
            "bert": asdict(self.bert),
            "model": {name: getattr(self, name) for name in model_names},
            "text": text,
            "generation": {"num_beams": self.num_beams, "length_penalty": self.length_penalty},
        }


_ID_NAMES = {f"{name}_id": f"{name}_token_id" for name in ("pad", "unk", "cls", "sep", "mask")}


def _known(default: Any, given: Mapping[str, Any], leave_out: Iterable[str] = ()) -> Any:
    """`default` with those of its fields that are `given`, each made the type that its default has."""
    changes = {}
    for name in default.__dataclass_fields__:
        if name in given and given[name] is not None and name not in leave_out:
            kind = type(getattr(default, name))
            changes[name] = tuple(int(size) for size in given[name]) if kind is tuple else kind(given[name])
    return replace(default, **changes)


def from_authors_options(config: SwinBertConfig, args: Mapping[str, Any]) -> SwinBertConfig:
    """`config` with the options of the authors' `log/args.json`, which their own inference follows.

    Raises:
        ConfigError: They describe a variant that this port does not have.
    """
    if args.get("grid_feat") is False:
        raise ConfigError("This checkpoint was trained with grid_feat off, which mixes channels; it is not supported.")
    if args.get("add_od_labels"):
        raise ConfigError("This checkpoint wants object labels beside the video (add_od_labels); not supported.")
    names = ("max_num_frames", "img_res", "learn_mask_enabled", "sparse_mask_soft2hard", "max_gen_length", "num_beams")
    return _known_config(config, {name: args[name] for name in (*names, "length_penalty") if name in args})


def _known_config(config: SwinBertConfig, given: Mapping[str, Any]) -> SwinBertConfig:
    try:
        changed: SwinBertConfig = _known(config, given, leave_out=("swin", "bert"))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"An option of the checkpoint cannot be read: {error}.") from error
    return changed


def from_weights(shape: Mapping[str, tuple[int, ...]]) -> SwinBertConfig:
    """What the shapes of a checkpoint's tensors tell; a size that they leave open has its published value.

    Heads are 64 wide, as in every published model. Frames are taken to be 224 pixels, so the learned mask tells their
    number: 784 x 784 entries are 32 frames, 1568 x 1568 are 64.

    Raises:
        KeyError: A tensor that tells a size is not there.
    """
    patch = shape[f"{_SWIN}patch_embed.proj.weight"]
    depths = _stage_depths(shape)
    first = [f"{_SWIN}layers.{stage}.blocks.0." for stage in range(len(depths))]
    tables = [shape[f"{block}attn.relative_position_bias_table"] for block in first]
    index = shape.get(f"{first[0]}attn.relative_position_index")
    swin = VideoSwinConfig(
        embed_dim=patch[0],
        depths=depths,
        num_heads=tuple(table[1] for table in tables),
        window_size=_window(index[0], tables[0][0]) if index else VideoSwinConfig().window_size,
        patch_size=(patch[2], patch[3], patch[4]),
        in_chans=patch[1],
        mlp_ratio=shape[f"{first[0]}mlp.fc1.weight"][0] / patch[0],
    )
    words = shape[f"{_BERT}embeddings.word_embeddings.weight"]
    bert = BertSizes(
        hidden_size=words[1],
        num_hidden_layers=_count(shape, rf"{re.escape(_BERT)}encoder\.layer\.(\d+)\."),
        num_attention_heads=max(1, words[1] // 64),
        intermediate_size=shape[f"{_BERT}encoder.layer.0.intermediate.dense.weight"][0],
        max_position_embeddings=shape[f"{_BERT}embeddings.position_embeddings.weight"][0],
        vocab_size=words[0],
        type_vocab_size=shape[f"{_BERT}embeddings.token_type_embeddings.weight"][0],
    )
    own = SwinBertConfig(
        swin=swin,
        bert=bert,
        img_feature_dim=shape["fc.weight"][0],
        learn_mask_enabled="learn_vid_att.weight" in shape,
    )
    if own.learn_mask_enabled:
        tokens = round(shape["learn_vid_att.weight"][0] ** 0.5)
        frames = tokens * _FRAMES_PER_TOKEN // (own.img_res // _PATCHES_PER_SIDE) ** 2
        own = replace(own, max_num_frames=max(1, frames))
    return own


def _count(names: Iterable[str], pattern: str) -> int:
    numbers = {int(found.group(1)) for name in names if (found := re.match(pattern, name))}
    return max(numbers, default=-1) + 1


def _stage_depths(names: Mapping[str, Any]) -> tuple[int, ...]:
    prefix = re.escape(f"{_SWIN}layers.")
    stages = _count(names, rf"{prefix}(\d+)\.blocks\.")
    return tuple(_count(names, rf"{prefix}{stage}\.blocks\.(\d+)\.") for stage in range(stages))


def _window(tokens: int, offsets: int) -> Size3:
    """The window (depth, side, side) that has so many tokens and so many relative positions."""
    for side in range(1, int(tokens**0.5) + 1):
        depth, rest = divmod(tokens, side * side)
        if rest == 0 and (2 * depth - 1) * (2 * side - 1) ** 2 == offsets:
            return depth, side, side
    return VideoSwinConfig().window_size
