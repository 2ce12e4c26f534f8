"""It learns: music with known scenes, a dataset of it, an adapter trained on that, scenes named in new music."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from safetensors.torch import save_file
from transformers import HubertConfig

from musiscene.captions.mu_llama import SPEC as MU_LLAMA
from musiscene.media import probe, write_wav
from musiscene.networks.mert import build, load_mert
from musiscene.networks.mu_llama import layout
from musiscene.networks.mu_llama.checkpoint import open_checkpoint
from musiscene.networks.mu_llama.model import MuLlama
from musiscene.networks.mu_llama.tiny import TINY, mert_options, random_tensors, tiny_tokenizer
from musiscene.networks.mu_llama.tokenizer import load_tokenizer
from musiscene.registry import Pool, find_generator
from musiscene.types import Caption, CaptionKind, CaptionRequest, Job, ScoreRequest
from train.build_dataset import main as build_dataset
from train.dataset.config import SCENE_QUESTION
from train.finetune import main as finetune
from train.tuning.config import Data
from train.tuning.examples import Example, read_examples, tokenized
from train.tuning.network import Trainee
from train.tuning.packing import pack

SCENES = {
    "Slow, sad solo piano in a minor key, sparse and quiet, 60 BPM.": "Rain falls on a window at night.",
    "Fast driving electronic music, heavy drums, distorted bass, 150 BPM.": "Cars race through a neon city.",
    "Joyful acoustic folk, strummed guitar and flute, major key, 110 BPM.": "Friends dance at a village wedding.",
    "Ambient drone of soft synthesizer pads without drums, very slow.": "A lone ship drifts between the stars.",
}
"""What the arranger is told -> the scene that belongs to it."""
CHANCE = 1 / len(SCENES)
PIECES, SECONDS = 40, 4.0
SIZES = replace(
    TINY,
    dim=64,
    layers=4,
    heads=4,
    ffn_dim=128,
    vocabulary=512,
    prefix_layers=3,
    lora_rank=4,
    mert_dim=128,
    mert_states=2,
    adapter_dim=128,
)


def render(folder: Path) -> tuple[Path, Path]:
    """Music of every scene by our arranger; its segments as AudioSet lists them; the table of scenes."""
    arranger = Pool().generator(find_generator("sketch"))
    folder.mkdir(parents=True)
    segments, table = folder.parent / "segments.csv", folder.parent / "scenes.csv"
    with segments.open("w") as listed, table.open("w", newline="") as file:
        listed.write("# YTID, start_seconds, end_seconds, positive_labels\n")
        writer = csv.writer(file)
        writer.writerow(["video_id", "msi_target"])
        for number, (words, scene) in enumerate(SCENES.items()):
            caption = Caption(CaptionKind.FUSION, words, "words")
            for seed in range(PIECES):
                request = ScoreRequest(caption, SECONDS, seed=seed)
                (track,) = arranger.generate([request], Job())
                name = f"scene{number}-{seed:02d}"
                write_wav(folder / f"{name}.wav", track.waveform, track.sample_rate)
                writer.writerow([name, scene])
                listed.write(f'{name}, 0.000, {SECONDS:.3f}, "/m/04rlf,/m/other"\n')
                listed.write(f'{name}, 0.000, {SECONDS:.3f}, "/m/speech"\n')  # not of the class
    return segments, table


def networks(folder: Path, texts: Sequence[str], heard: Sequence[Example]) -> dict[str, Path]:
    """A tiny LLaMA that can speak (it was taught the sentences, and has heard no music), and an untrained adapter."""
    from musiscene.networks.mu_llama.tokenizer import TEMPLATE

    adapter, base = random_tensors(SIZES, seed=3, scale=0.08)
    for name, tensor in adapter.items():
        if "_l2" in name or name.endswith(".bias"):
            tensor.zero_()  # LoRA adds nothing yet
        elif "gate" in name:
            tensor.fill_(0.5)  # open, as those of a MU-LLaMA are before MusiScene is trained from it
        elif "norm" in name:
            tensor.fill_(1.0)
    adapter["mu_mert_agg.weight"].copy_(torch.tensor([[[0.0], [1.0]]]))
    adapter["mu_mert_proj.weight"] *= 12.0  # what is heard is not lost beside the prefix
    for name, tensor in base.items():
        if "norm" in name:
            tensor.fill_(1.0)
    (folder / "base").mkdir(parents=True)
    prompt = TEMPLATE.format(question=SCENE_QUESTION)
    known = [*texts * 50, *prompt.split(" ") * 50, prompt]  # words are tokens, and none spans a colon and what follows
    tiny_tokenizer(SIZES.vocabulary, known).save(str(folder / "base" / "tokenizer.json"))
    paths = {"adapter": folder / "adapter.safetensors", "base": folder / "base"}
    save_file(adapter, paths["adapter"])
    save_file(base, folder / "base" / "consolidated.00.safetensors")

    checkpoint = open_checkpoint(paths["adapter"], paths["base"])
    model = MuLlama(SIZES)
    model.load(checkpoint, dtype=torch.float32)
    network = Trainee(model, "both")  # its matrices are apart under their published names
    names = dict(layout.module_names(SIZES, with_base=True))
    spoken = {published: dict(model.named_parameters())[names[f"llama.{published}"]] for published in base}
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for published, parameter in spoken.items():
        if "norm" not in published:
            parameter.data = parameter.data.clone()
            parameter.requires_grad_(True)
    tokenizer = load_tokenizer(paths["base"])
    rows = [tokenized(tokenizer, Example("", SCENE_QUESTION, text, lambda: None), 256) for text in texts]  # type: ignore[arg-type, return-value]
    sentences = pack(rows)
    adamw = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3, weight_decay=0.0)
    for _ in range(120):
        adamw.zero_grad()
        network(**sentences).mean().backward()
        adamw.step()
    heads = SIZES.heads
    taught = {
        name: layout.to_pairs(p.detach(), heads) if layout.is_rotated(f".{name}") else p.detach().clone()
        for name, p in spoken.items()
    }
    save_file(
        {name: tensor.contiguous() for name, tensor in taught.items()}, folder / "base" / "consolidated.00.safetensors"
    )
    paths["mert"] = encoder(folder / "mert", heard)
    return paths


def encoder(folder: Path, heard: Sequence[Example]) -> Path:
    """A MERT of one layer with random weights; its last norm spreads evenly what it hears in `heard`.

    That is enough to tell a piano from a drum; it knows of no scenes.
    """
    options = mert_options(SIZES, filters=48)
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for name, like in build(HubertConfig(**options)).state_dict().items():
        noise = torch.randn(like.shape, generator=generator)
        width = max(1, noise[0].numel()) ** 0.5
        tensors[name] = 1.0 + 0.1 * noise if name.endswith(("norm.weight", "original0")) else 1.4 * noise / width
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({**options, "model_type": "mert_model"}))
    weight, bias = (tensors[f"encoder.layer_norm.{name}"] for name in ("weight", "bias"))
    weight.fill_(1.0), bias.zero_()
    save_file(tensors, folder / "model.safetensors")
    mert = load_mert(folder)
    features = torch.cat([mert.pooled(torch.from_numpy(example.hear())[None])[:, -1] for example in heard])
    weight.copy_(1.0 / features.std(0))
    bias.copy_(-features.mean(0) / features.std(0))
    save_file(tensors, folder / "model.safetensors")
    return folder


def named(paths: dict[str, Path], dataset: Path, adapter: Path | None) -> float:
    """Share of held-out pieces whose scene the app's MSI backend names."""
    options: dict[str, Any] = {
        **{name: str(path) for name, path in paths.items()},
        "temperature": 0.0,
        "max_new": 32,
        "cache_dir": dataset / "heard",
        "weights_dir": dataset / "none",
    }
    if adapter is not None:
        options["musiscene"] = str(adapter)
    captioner = Pool(options={"mu-llama": options}).captioner(MU_LLAMA)
    held_out = read_examples(Data(dataset), "test")
    right = 0
    for example in held_out:
        piece = dataset / "held-out.wav"
        soundfile.write(piece, example.hear(), 24_000)
        request = CaptionRequest(frozenset({CaptionKind.MSI}), music=probe(piece))
        (caption,) = captioner.describe(request, Job())
        right += caption.text == example.answer
    return right / len(held_out)


@pytest.mark.slow(seconds=50)
def test_a_trained_adapter_names_the_scene_of_new_music(
    tmp_path: Path, write_toml: Callable[[Path, dict[str, Any]], Path]
) -> None:
    """From rendered music to an adapter in the app: at least 80 % right; chance and an untrained one have 25 %."""
    segments, table = render(tmp_path / "music")
    captions = {"video": "none", "music": "none", "fusion": "none", "target": "none", "known": str(table)}
    config = {
        "out": "dataset",
        "source": {"kind": "audioset", "segments": [str(segments)], "media": "music"},
        "splits": {"train": 0.7, "validation": 0.15, "test": 0.15},
        "clips": {"length_s": SECONDS},
        "captions": captions,
    }
    assert build_dataset([str(write_toml(tmp_path / "dataset.toml", config))]) == 0
    dataset = tmp_path / "dataset"
    learnt_from = read_examples(Data(dataset), "train")
    paths = networks(tmp_path / "weights", list(SCENES.values()), learnt_from)

    config = {
        "out": "run",
        "trainable": "adapter",
        "data": {"path": "dataset"},
        "weights": {name: str(path) for name, path in paths.items()},
        "optimiser": {"epochs": 10, "effective_batch": 16, "lr": 2e-3, "warmup_epochs": 2.0, "clip": 1.0},
        "batches": {"rows": 16},
        "memory": {"gradient_checkpointing": False},
        "validation": {"captions": 24, "max_new": 16, "patience": 0},
        "output": {"tensorboard": False},
    }
    assert finetune([str(write_toml(tmp_path / "finetune.toml", config))]) == 0

    untrained = named(paths, dataset, None)
    trained = named(paths, dataset, tmp_path / "run" / "export")
    report = {"chance": CHANCE, "untrained": untrained, "trained": trained}
    (tmp_path / "learns.json").write_text(json.dumps(report))
    assert trained >= 0.8, report
    assert untrained <= 0.5, report
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "step"]
    assert steps[-1]["loss"] < 0.7 * steps[0]["loss"]
