"""MU-LLaMA against the reference implementation's numbers."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from musiscene.networks.mert import load_mert
from musiscene.networks.mu_llama import layout
from musiscene.networks.mu_llama.adapter import KnnBlend
from musiscene.networks.mu_llama.checkpoint import Checkpoint, open_checkpoint
from musiscene.networks.mu_llama.convert import save_published
from musiscene.networks.mu_llama.decoder import Decoder, load_decoder
from musiscene.networks.mu_llama.generate import Sampling, generate, nucleus
from musiscene.networks.mu_llama.listener import Listener, load_listener
from musiscene.networks.mu_llama.model import MuLlama, answer_loss, trainable_names


@dataclass(frozen=True)
class Reference:
    """The parity set and the networks made from it."""

    folder: Path
    sizes: dict[str, Any]
    training: dict[str, Any]
    inputs: dict[str, Tensor]
    expected: dict[str, Tensor]
    checkpoint: Checkpoint
    model: MuLlama
    decoder: Decoder
    listener: Listener

    @property
    def prompts(self) -> list[list[int]]:
        """The prompt of each item."""
        return [self.inputs["tokens"][i, :n].tolist() for i, n in enumerate(self.inputs["prompt_lengths"].tolist())]

    @property
    def answers(self) -> list[list[int]]:
        """The greedy continuation of each prompt."""
        return [[token for token in row if token >= 0] for row in self.expected["greedy_new_ids"].tolist()]

    @property
    def greedy(self) -> Sampling:
        """As many tokens as the reference generated."""
        return Sampling(temperature=0.0, max_new=self.sizes["max_new_tokens"])


def built(checkpoint: Checkpoint) -> MuLlama:
    """The network that can be trained, filled from a checkpoint."""
    with torch.device("meta"):
        model = MuLlama(checkpoint.sizes)
    model.load(checkpoint).train(False)
    return model


@pytest.fixture(scope="module")
def reference(parity_root: Path) -> Reference:
    """Everything of `parity/mu_llama`, loaded once."""
    folder = parity_root / "mu_llama"
    sizes = json.loads((folder / "tiny_config.json").read_text())
    checkpoint = open_checkpoint(
        folder / "tiny_adapter_checkpoint.safetensors",
        folder / "tiny_llama_meta.safetensors",
        norm_eps=sizes["norm_eps"],
    )
    return Reference(
        folder,
        sizes,
        json.loads((folder / "tiny_expected_training.json").read_text()),
        load_file(folder / "tiny_inputs.safetensors"),
        load_file(folder / "tiny_expected.safetensors"),
        checkpoint,
        built(checkpoint),
        load_decoder(checkpoint),
        load_listener(checkpoint),
    )


def test_parity_sizes_are_read_from_the_shapes(reference: Reference) -> None:
    """No size is written down in a checkpoint; all are told by its tensors."""
    sizes, stated = reference.checkpoint.sizes, reference.sizes
    assert (sizes.dim, sizes.layers, sizes.heads) == (stated["dim"], stated["n_layers"], stated["n_heads"])
    assert (sizes.ffn_dim, sizes.vocabulary) == (stated["ffn_hidden_dim"], stated["vocab_size"])
    assert (sizes.prefix_layers, sizes.lora_rank) == (stated["prefix_layers"], stated["lora_rank"])
    assert (sizes.mert_dim, sizes.mert_states) == (stated["mert_dim"], stated["n_mert_hidden_states"])
    assert sizes.adapter_dim == stated["adapter_hidden_dim"]


def test_parity_adapter_token(reference: Reference) -> None:
    """Aggregation, unit norm, projection and gated blocks give the reference's vector per clip."""
    pooled = reference.inputs["mert_pooled"]
    with torch.no_grad():
        aggregated = reference.model.music.aggregate(pooled)
        token = reference.model.hear(pooled)
    torch.testing.assert_close(aggregated, reference.expected["aggregated"], atol=1e-5, rtol=0)
    torch.testing.assert_close(token, reference.expected["adapter_token"][:, 0], atol=2e-5, rtol=0)


@pytest.mark.parametrize(("weight", "key"), [(0.0, "adapter_token_knn_w0"), (0.2, "adapter_token_knn_w02")])
def test_parity_knn_blending_row_by_row(reference: Reference, weight: float, key: str) -> None:
    """Blending a whole batch gives what the original gives for one item at a time."""
    settings = reference.sizes["knn"]
    blend = KnnBlend(
        reference.inputs["knn_prototypes"], size=settings["cache_size"], sharpness=settings["cache_t"], weight=weight
    )
    with torch.no_grad():
        token = reference.model.hear(reference.inputs["mert_pooled"], blend)
    torch.testing.assert_close(token, reference.expected[key][:, 0], atol=2e-5, rtol=0)


def test_parity_logits_and_loss(reference: Reference) -> None:
    """Logits of all positions and the loss agree; the loss also per item, as micro-batches of one average it."""
    with torch.no_grad():
        logits = reference.model(reference.inputs["tokens"], reference.inputs["mert_pooled"])
    torch.testing.assert_close(logits, reference.expected["logits"], atol=1e-4, rtol=0)
    labels = reference.inputs["labels"]
    torch.testing.assert_close(answer_loss(logits, labels), reference.expected["loss"][0], atol=1e-5, rtol=0)
    per_item = answer_loss(logits, labels, per_item=True)
    torch.testing.assert_close(per_item, reference.expected["loss_per_item"], atol=1e-5, rtol=0)


def pretrain_phase(reference: Reference) -> Checkpoint:
    """The same weights as a checkpoint of the pretraining phase: without LoRA and biases."""
    adapter = reference.checkpoint.adapter.renamed(
        lambda name: None if "lora" in name or (name.startswith("llama.") and name.endswith(".bias")) else name
    )
    return replace(reference.checkpoint, adapter=adapter, sizes=replace(reference.checkpoint.sizes, lora_rank=0))


def test_parity_logits_of_the_pretraining_phase(reference: Reference) -> None:
    """Without LoRA and biases the logits are the reference's, from the trainable network and from the decoder."""
    checkpoint = pretrain_phase(reference)
    tokens, pooled = reference.inputs["tokens"], reference.inputs["mert_pooled"]
    expected = reference.expected["logits_pretrain_phase"]
    with torch.no_grad():
        torch.testing.assert_close(built(checkpoint)(tokens, pooled), expected, atol=1e-4, rtol=0)
    decoder = load_decoder(checkpoint)
    terms = load_listener(checkpoint).terms(decoder, pooled)
    torch.testing.assert_close(last_logits(decoder, tokens, terms), expected[:, -1], atol=1e-4, rtol=0)


def last_logits(decoder: Decoder, tokens: Tensor, terms: Tensor) -> Tensor:
    """Logits of the last position without padding."""
    batch, length = tokens.shape
    slots = torch.arange(length)
    with torch.inference_mode():
        cache = decoder.new_cache(batch, length)
        return decoder(tokens, slots[None].expand(batch, -1), cache, slots, length, None, terms)


@pytest.mark.parametrize("phase", ["finetune", "pretrain"])
def test_parity_gradients_go_only_where_they_should(reference: Reference, phase: str) -> None:
    """The exact set of trainable names of each phase gets gradients of the reference's size and value."""
    checkpoint = reference.checkpoint if phase == "finetune" else pretrain_phase(reference)
    model = built(checkpoint)
    which = "lora" if phase == "finetune" else "adapter"
    trained = trainable_names(checkpoint.sizes, which)
    assert trained == set(reference.training[f"trainable_{phase}"])
    parameters = dict(model.named_parameters())
    names = dict(layout.module_names(checkpoint.sizes, with_base=False))
    for parameter in parameters.values():
        parameter.requires_grad_(False)
    for published in trained:
        parameters[names[published]].requires_grad_(True)
    loss = answer_loss(model(reference.inputs["tokens"], reference.inputs["mert_pooled"]), reference.inputs["labels"])
    loss.backward()  # type: ignore[no-untyped-call]
    assert abs(loss.item() - reference.training[f"loss_{phase}"]) < 1e-5
    for published, norm in reference.training[f"grad_norms_{phase}"].items():
        gradient = parameters[names[published]].grad
        assert gradient is not None, published
        assert gradient.norm().item() == pytest.approx(norm, rel=1e-4, abs=1e-7), published
    for key, expected in reference.expected.items():
        if key.startswith(f"grad_{phase}/"):
            published = key.partition("/")[2]
            gradient = parameters[names[published]].grad
            assert gradient is not None
            if layout.is_rotated(published):
                gradient = layout.to_pairs(gradient, checkpoint.sizes.heads)
            torch.testing.assert_close(gradient.view(expected.shape), expected, atol=1e-6, rtol=1e-4)


def test_parity_greedy_ids_alone_and_in_a_left_padded_batch(reference: Reference) -> None:
    """The merged decoder writes the reference's tokens, one item at a time and all prompts at once."""
    terms = reference.listener.terms(reference.decoder, reference.inputs["mert_pooled"])
    alone = [
        generate(reference.decoder, [prompt], music_terms=terms[i : i + 1], sampling=reference.greedy)[0]
        for i, prompt in enumerate(reference.prompts)
    ]
    assert alone == reference.answers
    assert len({len(prompt) for prompt in reference.prompts}) > 1
    batch = generate(reference.decoder, reference.prompts, music_terms=terms, sampling=reference.greedy)
    assert batch == reference.answers


def test_parity_an_answer_ends_at_its_end_token(reference: Reference) -> None:
    """With another end-of-sequence id the reference's answer ends early, and so does ours."""
    stated = reference.training["generation"]["early_stop"]
    item = stated["item"]
    terms = reference.listener.terms(reference.decoder, reference.inputs["mert_pooled"][item : item + 1])
    ours = generate(
        reference.decoder,
        [reference.prompts[item]],
        music_terms=terms,
        sampling=reference.greedy,
        eos=stated["eos_id"],
    )
    assert ours == [stated["greedy_new_ids"]]


def test_parity_generation_by_transformers_agrees(reference: Reference) -> None:
    """The generation of transformers takes the music term and writes the same tokens with the trainable network."""
    with torch.no_grad():
        terms = reference.model.music_terms(reference.model.hear(reference.inputs["mert_pooled"][:1]))
        written = reference.model.llama.generate(
            torch.tensor([reference.prompts[0]]),
            attention_mask=torch.ones(1, len(reference.prompts[0]), dtype=torch.long),
            music_terms=terms,
            max_new_tokens=reference.sizes["max_new_tokens"],
            do_sample=False,
            pad_token_id=2,
        )
    assert written[0, len(reference.prompts[0]) :].tolist()[: len(reference.answers[0])] == reference.answers[0]


def test_parity_sampling_distribution(reference: Reference) -> None:
    """Temperature 0.6, then the nucleus of 0.8, gives the reference's probabilities."""
    logits = reference.expected["step_logits_0"][:1]
    probabilities, tokens = nucleus(logits, 0.6, 0.8)
    ours = torch.zeros_like(logits).scatter(1, tokens, probabilities)
    torch.testing.assert_close(ours, reference.expected["top_p_probs_t0.6_p0.8_item0_step0"], atol=1e-6, rtol=0)


def test_parity_end_to_end_from_a_waveform(reference: Reference, tmp_path: Path) -> None:
    """Sound -> MERT -> adapter -> LLaMA gives the reference's vector and tokens for every clip."""
    shutil.copy(reference.folder / "tiny_mert_large_style.safetensors", tmp_path / "model.safetensors")
    shutil.copy(reference.folder / "tiny_mert_large_style_config.json", tmp_path / "config.json")
    mert = load_mert(tmp_path)
    io = load_file(reference.folder / "tiny_mert_io.safetensors")
    stated = json.loads((reference.folder / "tiny_mert_e2e.json").read_text())
    assert stated["greedy_new_ids"]
    for clip, ids in stated["greedy_new_ids"].items():
        pooled = mert.pooled(io[f"waveform_{clip}"].reshape(1, -1))
        with torch.no_grad():
            token = reference.model.hear(pooled)
        torch.testing.assert_close(token, io[f"e2e_adapter_token_{clip}"][0], atol=5e-5, rtol=0)
        terms = reference.listener.terms(reference.decoder, pooled)
        sampling = Sampling(temperature=0.0, max_new=len(ids))
        assert generate(reference.decoder, [stated["prompt"]], music_terms=terms, sampling=sampling) == [ids]


def test_parity_both_llama_layouts_give_equal_logits(reference: Reference, tmp_path: Path) -> None:
    """The base in Hugging Face's layout, sharded with an index, gives the same logits as Meta's."""
    heads = reference.checkpoint.sizes.heads
    meta = load_file(reference.folder / "tiny_llama_meta.safetensors")
    hf: dict[str, Tensor] = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.zeros(3)}
    for name, tensor in meta.items():
        stem = name.removesuffix(".weight")
        if stem in layout.ENDS:
            hf[f"{layout.ENDS[stem]}.weight"] = tensor
            continue
        _, number, part = stem.split(".", 2)
        rotated = layout.to_halves(tensor, heads) if part in layout.ROTATED else tensor
        hf[f"model.layers.{number}.{(layout.PROJECTIONS | layout.NORMS)[part]}.weight"] = rotated.contiguous()
    names = sorted(hf)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, held in parts.items():
        save_file({name: hf[name] for name in held}, tmp_path / file)
    index = {"weight_map": {name: file for file, held in parts.items() for name in held}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))

    checkpoint = open_checkpoint(reference.folder / "tiny_adapter_checkpoint.safetensors", tmp_path)
    tokens, pooled = reference.inputs["tokens"], reference.inputs["mert_pooled"]
    with torch.no_grad():
        assert torch.equal(built(checkpoint)(tokens, pooled), reference.model(tokens, pooled))
    decoder = load_decoder(checkpoint)
    terms = load_listener(checkpoint).terms(decoder, pooled)
    assert torch.equal(
        last_logits(decoder, tokens, terms),
        last_logits(reference.decoder, tokens, reference.listener.terms(reference.decoder, pooled)),
    )


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_parity_saving_in_the_published_layout_is_byte_for_byte(
    reference: Reference, tmp_path: Path, suffix: str
) -> None:
    """What was loaded, permuted and saved again is the published checkpoint, with or without the base inside."""
    source = load_file(reference.folder / "tiny_adapter_checkpoint.safetensors")
    base = load_file(reference.folder / "tiny_llama_meta.safetensors")
    save_published(reference.model.published(), tmp_path / f"a{suffix}")
    again = open_checkpoint(tmp_path / f"a{suffix}", reference.folder / "tiny_llama_meta.safetensors")
    assert again.adapter.keys() == source.keys()
    for name, tensor in source.items():
        assert again.adapter[name].dtype == tensor.dtype
        assert again.adapter[name].numpy().tobytes() == tensor.numpy().tobytes(), name

    save_published(reference.model.published(with_base=True), tmp_path / f"b{suffix}")
    whole = open_checkpoint(tmp_path / f"b{suffix}")
    for name, tensor in base.items():
        if "norm" not in name:  # the tuned norms are the checkpoint's own
            assert whole.base[name].numpy().tobytes() == tensor.numpy().tobytes(), name
