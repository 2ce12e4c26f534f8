"""SwinBERT on tiny random weights: the fast ways equal the plain ones, and checkpoints load or say what is wrong."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from musiscene.errors import BackendUnavailableError, ConfigError
from musiscene.networks.swinbert import (
    BertSizes,
    SwinBert,
    SwinBertConfig,
    Vocabulary,
    build,
    convert,
    generate,
    load,
)
from musiscene.networks.swinbert.checkpoint import published_shapes
from musiscene.networks.video_swin import VideoSwinConfig, relative_position_index

TINY = SwinBertConfig(
    swin=VideoSwinConfig(embed_dim=8, depths=(2, 2, 2, 2), num_heads=(1, 1, 2, 2), window_size=(8, 2, 2)),
    bert=BertSizes(
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=40,
        vocab_size=160,
    ),
    img_feature_dim=24,
    img_res=64,
)


def random_weights(config: SwinBertConfig, seed: int = 0) -> dict[str, Tensor]:
    """Tensors in the published layout, large enough that captions differ from clip to clip."""
    draw = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        shapes = published_shapes(SwinBert(config))
    weights = {}
    for name, shape in shapes.items():
        noise = torch.randn(shape, generator=draw)
        if name == "learn_vid_att.weight":
            weights[name] = noise * 4 + 8  # about sigmoid = 0.9997, where the mask is neither open nor shut
        elif "norm" in name.lower() and name.endswith("weight"):
            weights[name] = 1 + 0.2 * noise
        elif "position_bias" in name:
            weights[name] = noise
        else:
            weights[name] = noise * (0.1 if len(shape) == 1 else 0.6 * shape[-1] ** -0.5)
        if "embeddings.weight" in name or "predictions.bias" in name:
            weights[name] = noise
    return weights


def tiny(seed: int = 0, **changes: Any) -> SwinBert:
    config = replace(TINY, **changes)
    return build(config, random_weights(config, seed), Path("random"))


def clips(count: int, config: SwinBertConfig = TINY, seed: int = 1) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    shape = (count, config.max_num_frames, 3, config.img_res, config.img_res)
    return torch.randn(shape, generator=draw) + torch.randn((count, 1, 3, 1, 1), generator=draw)


@pytest.mark.parametrize("frames", [32, 64])
@pytest.mark.parametrize("beams", [1, 3])
def test_cached_equals_reencoded(frames: int, beams: int) -> None:
    """The cache changes neither a word nor, beyond rounding, a score; for 32 and 64 frames, greedy and beams."""
    model = tiny(max_num_frames=frames)
    with torch.inference_mode():
        tokens = model.visual_tokens(clips(3, model.config))
        fast = generate(model, tokens, beams=beams)
        plain = generate(model, tokens, beams=beams, cached=False)

    assert torch.equal(fast.ids, plain.ids)
    torch.testing.assert_close(fast.log_probability, plain.log_probability, atol=1e-5, rtol=0)
    assert len({tuple(ids) for ids in fast.ids.tolist()}) > 1, "the clips should not all read the same"


@pytest.mark.parametrize("beams", [1, 3])
def test_batched_equals_single(beams: int) -> None:
    """A clip's caption and score do not depend on what it is batched with."""
    model = tiny()
    frames = clips(4)
    with torch.inference_mode():
        together = generate(model, model.visual_tokens(frames), beams=beams)
        for clip in range(4):
            alone = generate(model, model.visual_tokens(frames[clip : clip + 1]), beams=beams)

            assert torch.equal(alone.ids[0], together.ids[clip])
            torch.testing.assert_close(alone.log_probability[0], together.log_probability[clip], atol=1e-5, rtol=0)


def test_captions_end_in_one_way() -> None:
    """Every caption starts with its mark, has exactly one end mark, and only padding behind it."""
    model = tiny()
    with torch.inference_mode():
        tokens = model.visual_tokens(clips(4))
        for beams in (1, 4):
            ids = generate(model, tokens, beams=beams).ids
            for row in ids.tolist():
                end = row.index(TINY.sep_id)

                assert len(row) == TINY.max_gen_length
                assert row[0] == TINY.cls_id
                assert set(row[end + 1 :]) <= {TINY.pad_id}


def test_the_generation_limit_is_kept() -> None:
    """A shorter limit cuts a caption and closes it."""
    model = tiny(max_gen_length=5)
    with torch.inference_mode():
        ids = generate(model, model.visual_tokens(clips(2))).ids

    assert ids.shape == (2, 5)
    assert all(TINY.sep_id in row for row in ids.tolist())


def test_beams_find_no_worse_captions() -> None:
    """With its own scoring, more beams never end below what fewer found for most clips."""
    model = tiny(seed=3)
    with torch.inference_mode():
        tokens = model.visual_tokens(clips(4))
        few, many = generate(model, tokens, beams=2), generate(model, tokens, beams=8)

    assert many.log_probability.mean() >= few.log_probability.mean() - 1e-6


def test_half_precision_keeps_the_mask_exact() -> None:
    """In bfloat16 the network computes in bfloat16, its learned mask stays float32, and captions come out."""
    model = tiny()
    exact = model.video_visibility()
    model.in_precision(torch.bfloat16)
    with torch.inference_mode():
        tokens = model.visual_tokens(clips(2))
        found = generate(model, tokens)

    assert tokens.dtype == torch.bfloat16
    assert torch.equal(model.video_visibility(), exact)
    assert torch.isfinite(found.log_probability).all()


def test_progress_reaches_the_end_and_can_stop() -> None:
    """The watcher sees growing shares up to 1, and what it raises ends the work."""
    model = tiny()
    seen: list[float] = []
    with torch.inference_mode():
        tokens = model.visual_tokens(clips(1), seen.append)
        assert seen == sorted(seen) and seen[-1] == 1.0 and len(seen) > 2 * sum(TINY.swin.depths)
        seen.clear()
        generate(model, tokens, watch=seen.append)
        assert seen == sorted(seen) and 0 < seen[0] < seen[-1] <= 1.0

    class Enough(Exception):
        pass

    def stop(share: float) -> None:
        raise Enough

    with torch.inference_mode(), pytest.raises(Enough):
        model.visual_tokens(clips(1), stop)


# -- checkpoints -------------------------------------------------------------------------------------------------------


def write_authors_folder(folder: Path, weights: dict[str, Tensor], args: dict[str, Any] | None = None) -> Path:
    """A folder as the authors' zips unpack to."""
    (folder / "best-checkpoint").mkdir(parents=True)
    (folder / "tokenizer").mkdir()
    torch.save(weights, folder / "best-checkpoint" / "model.bin")
    pieces = [f"word{i}" for i in range(TINY.bert.vocab_size)]
    (folder / "tokenizer" / "vocab.txt").write_text("\n".join(pieces) + "\n")
    if args is not None:
        (folder / "log").mkdir()
        (folder / "log" / "args.json").write_text(json.dumps(args))
    return folder


def authors_weights(config: SwinBertConfig = TINY) -> dict[str, Tensor]:
    """The published tensors, with what captions do not use."""
    weights = random_weights(config)
    index = relative_position_index(config.swin.window_size)
    for stage, depth in enumerate(config.swin.depths):
        for block in range(depth):
            weights[f"swin.backbone.layers.{stage}.blocks.{block}.attn.relative_position_index"] = index.clone()
    weights["trans_encoder.bert.pooler.dense.weight"] = torch.zeros(64, 64)
    weights["trans_encoder.cls_img_feat.bias"] = torch.zeros(2048)
    return weights


ARGS = {"max_num_frames": 32, "img_res": 64, "max_gen_length": 20, "learn_mask_enabled": True, "num_beams": 1}


@pytest.fixture
def published(tmp_path: Path) -> Path:
    # One head of 64, as in the published models: the shapes do not tell the number of heads.
    return write_authors_folder(tmp_path / "zip", authors_weights(), ARGS)


def test_the_authors_folder_loads(published: Path) -> None:
    """model.bin, vocab.txt and args.json are found; every size is read from them; the unused heads are left out."""
    model, vocabulary = load(published)

    assert model.config == replace(TINY, bert=replace(TINY.bert, num_attention_heads=1))
    assert model.dtype == torch.float32
    assert vocabulary.decode([101, 5, 6, 102, 0]) == "word5 word6"


def test_half_precision_files_and_wrapped_names_load(tmp_path: Path) -> None:
    """A float16 checkpoint saved from a wrapped model gives the network that its float32 values give."""
    weights = authors_weights()
    halved = {f"module.{n}": t.half() if t.is_floating_point() else t for n, t in weights.items()}
    model, _ = load(write_authors_folder(tmp_path / "half", halved, ARGS))
    plain, _ = load(write_authors_folder(tmp_path / "plain", weights, ARGS))

    assert model.dtype == torch.float32
    for name, value in model.state_dict().items():
        assert torch.equal(value, plain.state_dict()[name].half().float()), name


def test_converted_weights_are_the_same_network(published: Path, tmp_path: Path) -> None:
    """Converting keeps every used tensor bit for bit, under its published name, and the result loads by itself."""
    target = convert(published, tmp_path / "converted")
    before, _ = load(published)
    after, vocabulary = load(target)

    assert sorted(path.name for path in target.iterdir()) == ["config.json", "model.safetensors", "vocab.txt"]
    assert after.config == before.config
    assert len(vocabulary.pieces) == TINY.bert.vocab_size
    assert load_file(target / "model.safetensors").keys() == published_shapes(before).keys()
    for name, value in before.state_dict().items():
        assert torch.equal(value, after.state_dict()[name]), name


def test_converting_in_place_and_to_half(published: Path) -> None:
    """Conversion may write beside its source, and to half precision leaves the learned mask alone."""
    target = convert(published, published, dtype=torch.float16)
    stored = load_file(target / "model.safetensors")

    assert stored["fc.weight"].dtype == torch.float16
    assert stored["learn_vid_att.weight"].dtype == torch.float32
    assert load(target)[0].dtype == torch.float32


def test_an_authors_zip_is_converted_as_it_is(published: Path, tmp_path: Path) -> None:
    """A zip, named itself or by its folder, is converted without unpacking it by hand; until then its name is told."""
    (tmp_path / "packed").mkdir()
    (published / "best-checkpoint" / "optmizer_state.bin").write_bytes(b"large")
    (published / "checkpoint-1").mkdir()
    (published / "checkpoint-1" / "model.bin").write_bytes(b"an older one")
    packed = Path(shutil.make_archive(str(tmp_path / "packed" / "vatex-table1"), "zip", published))
    with pytest.raises(BackendUnavailableError, match=r"vatex-table1\.zip is still packed"):
        load(packed.parent)
    with pytest.raises(BackendUnavailableError, match=r"vatex-table1\.zip is still packed"):
        load(packed)
    for source in (packed, packed.parent):
        target = convert(source, tmp_path / "converted" / source.name)
        model, _ = load(target)

        assert sorted(path.name for path in target.iterdir()) == ["config.json", "model.safetensors", "vocab.txt"]
        assert model.config == load(published)[0].config
    packed.write_bytes(packed.read_bytes()[:3000])
    with pytest.raises(BackendUnavailableError, match="cannot be unpacked"):
        convert(packed, tmp_path / "damaged")


def test_a_checkpoint_without_a_learned_mask(tmp_path: Path) -> None:
    """Without options a missing mask means that there is none; options that want it make it an error."""
    weights = authors_weights(replace(TINY, learn_mask_enabled=False))
    bare = write_authors_folder(tmp_path / "bare", weights)
    (bare / "config.json").write_text(json.dumps(replace(TINY, learn_mask_enabled=False).to_dict()))

    assert load(bare)[0].learn_vid_att is None
    with pytest.raises(BackendUnavailableError, match=r"model\.bin.*1 missing.*learn_vid_att\.weight"):
        load(write_authors_folder(tmp_path / "wanted", weights, ARGS))


def test_a_wrong_number_of_video_tokens_is_named(tmp_path: Path) -> None:
    """Frames and side that do not fit the learned mask are said with both numbers."""
    folder = write_authors_folder(tmp_path / "zip", authors_weights(), {**ARGS, "max_num_frames": 48})

    with pytest.raises(BackendUnavailableError, match=r"64 video tokens.*48 frames of 64 pixels give 96"):
        load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("fc.bias"), r"model\.bin.*1 missing \(fc\.bias\)"),
        (lambda w: w.pop("trans_encoder.cls.predictions.bias"), r"1 missing \(trans_encoder\.cls\.predictions\.bias\)"),
        (lambda w: w.update({"head.weight": torch.zeros(3)}), r"1 unexpected \(head\.weight\)"),
        (lambda w: w.update({"fc.bias": torch.zeros(7)}), r"of another shape \(fc\.bias is \(7,\), not \(24,\)\)"),
        (lambda w: w.pop("fc.weight"), r"no complete SwinBERT checkpoint: 'fc\.weight' is missing"),
    ],
)
def test_what_does_not_fit_is_listed(tmp_path: Path, change: Any, message: str) -> None:
    """Missing, unexpected and misshapen tensors are named with the file."""
    weights = authors_weights()
    change(weights)

    with pytest.raises(BackendUnavailableError, match=message):
        load(write_authors_folder(tmp_path / "zip", weights, ARGS))


def test_another_window_is_noticed(tmp_path: Path) -> None:
    """A position index that is not that of the window is an error, not a silent difference."""
    weights = authors_weights()
    weights["swin.backbone.layers.0.blocks.1.attn.relative_position_index"][0, 1] += 1

    with pytest.raises(BackendUnavailableError, match="another attention window"):
        load(write_authors_folder(tmp_path / "zip", weights, ARGS))


class _Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (print, ("executed",))


def test_files_that_are_no_checkpoints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Absent, empty, foreign and dangerous files are refused in words, and nothing in them is executed."""
    with pytest.raises(BackendUnavailableError, match="no SwinBERT weights at"):
        load(tmp_path / "nowhere")
    with pytest.raises(BackendUnavailableError, match="holds no SwinBERT weights"):
        load(tmp_path)
    folder = write_authors_folder(tmp_path / "evil", {}, ARGS)
    torch.save({"fc.weight": _Evil()}, folder / "best-checkpoint" / "model.bin")
    with pytest.raises(BackendUnavailableError, match=r"model\.bin"):
        load(folder)
    assert "executed" not in capsys.readouterr().out
    (folder / "best-checkpoint" / "model.bin").write_bytes(b"not a checkpoint")
    with pytest.raises(BackendUnavailableError, match=r"model\.bin"):
        load(folder)
    (folder / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    with pytest.raises(BackendUnavailableError, match=r"model\.safetensors"):
        load(folder)


def test_vocabulary_must_belong_to_the_weights(published: Path) -> None:
    """A missing vocabulary, or one of another size, is said with what to put there."""
    vocabulary = published / "tokenizer" / "vocab.txt"
    vocabulary.write_text("one\ntwo\n")
    with pytest.raises(BackendUnavailableError, match="2 entries, but the weights know 160"):
        load(published)
    vocabulary.unlink()
    with pytest.raises(BackendUnavailableError, match=r"put vocab\.txt of bert-base-uncased beside"):
        load(published)


@pytest.mark.parametrize(("option", "word"), [({"grid_feat": False}, "grid_feat"), ({"add_od_labels": True}, "labels")])
def test_variants_that_are_not_supported(tmp_path: Path, option: dict[str, Any], word: str) -> None:
    """Checkpoints of variants that this port lacks are refused, with the option."""
    with pytest.raises(ConfigError, match=word):
        load(write_authors_folder(tmp_path / "zip", authors_weights(), {**ARGS, **option}))


def test_safetensors_in_the_published_layout_load(tmp_path: Path) -> None:
    """A single safetensors file with the published names loads from its own path."""
    folder = write_authors_folder(tmp_path / "zip", authors_weights(), ARGS)
    save_file(authors_weights(), folder / "anything.safetensors")
    model, _ = load(folder / "anything.safetensors")

    assert model.config.img_res == 64


def test_configuration_survives_json() -> None:
    """A configuration written as JSON reads back equal, and nonsense in it is an error in words."""
    config = replace(TINY, num_beams=3, length_penalty=0.6, sparse_mask_soft2hard=True)

    assert SwinBertConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ConfigError, match="cannot be read"):
        SwinBertConfig.from_dict({"bert": {"hidden_size": "many"}})
    with pytest.raises(ConfigError, match="max_gen_length"):
        SwinBertConfig(max_gen_length=2)


# -- words -------------------------------------------------------------------------------------------------------------


def test_words_are_joined_as_the_authors_tokeniser_does() -> None:
    """Word pieces are glued, marks and contractions close up, in the order that published captions show."""
    pieces = [
        *(f"[m{i}]" for i in range(5)),
        "he",
        "does",
        "n't",
        "play",
        "##ing",
        ",",
        "it",
        "'",
        "s",
        "fun",
        ".",
        "do",
        "not",
        "!",
    ]
    vocabulary = Vocabulary(tuple(pieces), frozenset(range(5)))

    def say(*words: str) -> str:
        return vocabulary.decode([2, *(pieces.index(word) for word in words), 3, 0, 0])

    assert say("he", "does", "n't", "play", "##ing", ",", "it", "'", "s", "fun", ".") == "he doesn't playing, it's fun."
    assert say("do", "not", "play", "!") == "do not play!"
    assert say("he", "do", "not", "play") == "he don't play"
    assert say() == ""
