"""A run: killed and resumed, on two processes, with and without caches; what goes wrong is told in a sentence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_run import FILES, curve, experiment, tiny_home, told_lines

from musiscene.captions.mu_llama import SPEC
from musiscene.errors import BackendUnavailableError, ConfigError
from musiscene.media import probe
from musiscene.networks.mu_llama.checkpoint import open_checkpoint
from musiscene.registry import Pool
from musiscene.types import CaptionKind, CaptionRequest, Job
from train.failures import TrainingError
from train.finetune import main


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, write_chirp: Callable[..., Path]) -> Path:
    """Conversations over sounds, and a tiny network."""
    return tiny_home(tmp_path_factory.mktemp("run"), write_chirp)


def trained(out: Path) -> dict[str, torch.Tensor]:
    """What a run exported."""
    return load_file(out / "export" / "adapter.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("which", ["adapter", "lora"])
def test_caches_change_nothing(home: Path, tmp_path: Path, write_toml: Callable[..., Path], which: str) -> None:
    """The losses of a whole run and the weights at its end are the same with and without caches."""
    for name, cache in (("with", True), ("without", False)):
        document = experiment(home, tmp_path / name, trainable=which, memory={"cache": cache})
        assert main([str(write_toml(tmp_path / f"{name}.toml", document))]) == 0
    one, other = curve(tmp_path / "with"), curve(tmp_path / "without")
    assert len(one) == 9 and [step for step, _, _ in one] == [step for step, _, _ in other]
    for (_, loss, _), (_, again, _) in zip(one, other, strict=True):
        assert loss == pytest.approx(again, abs=2e-5)
    for key, tensor in trained(tmp_path / "with").items():
        torch.testing.assert_close(trained(tmp_path / "without")[key], tensor, atol=2e-4, rtol=1e-3)
    assert (tmp_path / "with" / "cache").is_dir() and not (tmp_path / "without" / "cache").exists()


@pytest.mark.slow
def test_the_export_is_what_the_app_and_the_original_read(
    home: Path, tmp_path: Path, write_toml: Callable[..., Path]
) -> None:
    """The adapter lies over MU-LLaMA by path; the published layout opens as a checkpoint; the card tells the run."""
    document = experiment(home, tmp_path / "out", trainable="both", output={"tensorboard": True})
    assert main([str(write_toml(tmp_path / "c.toml", document))]) == 0
    export = tmp_path / "out" / "export"
    options = {name: str(home / "tiny" / file) for name, file in FILES.items()}
    options |= {"musiscene": str(export), "cache_dir": str(tmp_path / "heard"), "max_new": 8}
    captioner = Pool(options={"mu-llama": options}).captioner(SPEC)
    assert captioner.loaded.scenes is not None and captioner.loaded.scenes.tuning is not None  # type: ignore[attr-defined]
    clip = probe(home / "audio" / "1.wav")
    list(captioner.describe(CaptionRequest(frozenset({CaptionKind.MUSIC}), music=clip), Job()))
    published = open_checkpoint(export / "checkpoint.pth", home / "tiny" / "base")
    start = open_checkpoint(home / "tiny" / "adapter.safetensors", home / "tiny" / "base")
    changed = {name for name in start.adapter if not torch.equal(published.tensor(name), start.tensor(name))}
    silent = {f"llama.layers.{layer}.attention.gate" for layer in range(start.sizes.first_prefix_layer)}
    assert changed == set(start.adapter) - silent
    assert list((tmp_path / "out" / "tensorboard").iterdir())
    card = (export / "README.md").read_text()
    assert card.startswith("---\n") and "8 items to learn from, 2 to validate" in card
    samples = (tmp_path / "out" / "samples" / "epoch-001.jsonl").read_text().splitlines()
    assert len(samples) == 2 and set(json.loads(samples[0])) == {"clip", "question", "reference", "written"}


@pytest.mark.slow
def test_it_stops_when_nothing_gets_better(home: Path, tmp_path: Path, write_toml: Callable[..., Path]) -> None:
    """With a learning rate of almost nothing, validation does not improve, and the run ends after its patience."""
    document = experiment(
        home,
        tmp_path / "out",
        optimiser={"epochs": 50, "lr": 1e-30},
        validation={"metric": "loss", "captions": 0, "patience": 2},
    )
    assert main([str(write_toml(tmp_path / "c.toml", document))]) == 0
    assert len(told_lines(tmp_path / "out", "validation")) == 3


def test_the_dry_run_tells_what_it_takes(
    home: Path, tmp_path: Path, write_toml: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Memory, cache and time come without a step, and the numbers of trained values and steps are right."""
    config = write_toml(tmp_path / "c.toml", experiment(home, tmp_path / "out", trainable="lora"))
    assert main([str(config), "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    checkpoint = open_checkpoint(home / "tiny" / "adapter.safetensors", home / "tiny" / "base")
    tuned = sum(
        tensor.numel()
        for name, tensor in ((n, checkpoint.tensor(n)) for n in checkpoint.adapter)
        if "lora" in name or name.endswith("norm.weight") or (name.startswith("llama.") and name.endswith(".bias"))
    )
    assert found["trained"] == 16 * tuned and found["steps"] == 9 and found["seconds"] > 0
    assert not (tmp_path / "out").exists()
    assert main([str(config), "--dry-run"]) == 0
    assert "memory per device" in capsys.readouterr().out
    assert main([str(config), "--dry-run", "--gpu", "A100", "--gpus", "4"]) == 0
    assert "on 4 device(s), at 124.80 TFLOP/s each (40 % of the peak of A100)" in capsys.readouterr().out


def command(config: Path, *launch: str) -> list[str]:
    """The command in a process of its own."""
    return [sys.executable, "-m", *(launch or ("train.finetune",)), str(config)]


@pytest.mark.slow
def test_killed_and_resumed_it_goes_on_exactly(
    home: Path, tmp_path: Path, write_toml: Callable[..., Path], run_environment: dict[str, str]
) -> None:
    """The loss curve and the weights after a kill and a resumption are bit for bit those of a run in one go."""
    long = {"epochs": 8, "effective_batch": 3}
    whole = write_toml(tmp_path / "whole.toml", experiment(home, tmp_path / "whole", optimiser=long))
    assert main([str(whole)]) == 0
    out = tmp_path / "killed"
    config = write_toml(tmp_path / "killed.toml", experiment(home, out, optimiser=long))
    started = subprocess.Popen(
        command(config),
        env=run_environment,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    while started.poll() is None and (not (out / "log.jsonl").is_file() or len(told_lines_so_far(out)) < 9):
        time.sleep(0.005)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    assert 0 < len(told_lines_so_far(out)) < 24 and not (out / "export").exists()
    assert main([str(config)]) == 0
    assert curve(out) == curve(tmp_path / "whole")
    assert [line["loss"] for line in told_lines(out, "validation")] == [
        line["loss"] for line in told_lines(tmp_path / "whole", "validation")
    ]
    for key, tensor in trained(tmp_path / "whole").items():
        assert torch.equal(trained(out)[key], tensor), key


def told_lines_so_far(out: Path) -> list[str]:
    """Whole lines of steps in a log that is being written."""
    return [
        line for line in (out / "log.jsonl").read_text().splitlines() if '"kind": "step"' in line and line.endswith("}")
    ]


@pytest.mark.slow
def test_two_processes_learn_what_one_does(
    home: Path, tmp_path: Path, write_toml: Callable[..., Path], run_environment: dict[str, str]
) -> None:
    """With two processes (DDP) the losses are those of one."""
    alone = write_toml(tmp_path / "one.toml", experiment(home, tmp_path / "one", optimiser={"epochs": 2}))
    assert main([str(alone)]) == 0
    config = write_toml(tmp_path / "two.toml", experiment(home, tmp_path / "two", optimiser={"epochs": 2}))
    launch = (
        "accelerate.commands.launch",
        "--cpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
        "--mixed_precision",
        "no",
    )
    launch += ("--dynamo_backend", "no", "--main_process_port", "0", "-m", "train.finetune")
    done = subprocess.run(command(config, *launch), env=run_environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = curve(tmp_path / "one"), curve(tmp_path / "two")
    assert len(one) == len(two) == 6
    for (_, loss, rate), (_, again, rate_again) in zip(one, two, strict=True):
        assert loss == pytest.approx(again, abs=2e-5) and rate == rate_again


# -- what goes wrong ----------------------------------------------------------------------------------------------


@pytest.mark.slow(seconds=2)
def test_a_changed_experiment_is_not_resumed(home: Path, tmp_path: Path, write_toml: Callable[..., Path]) -> None:
    """Another learning rate in the same folder is refused, and the setting is named."""
    one = experiment(home, tmp_path / "out", optimiser={"epochs": 1})
    assert main([str(write_toml(tmp_path / "c.toml", one))]) == 0
    other = experiment(home, tmp_path / "out", optimiser={"epochs": 1, "lr": 5e-4})
    with pytest.raises(TrainingError, match=r"another optimiser.lr"):
        main([str(write_toml(tmp_path / "c.toml", other))])
    with pytest.raises(ConfigError, match="trainable must be one of adapter, lora, both"):
        main([str(write_toml(tmp_path / "c.toml", experiment(home, tmp_path / "out", trainable="all")))])


def test_only_an_adapter_with_lora_can_tune_it(home: Path, tmp_path: Path, write_toml: Callable[..., Path]) -> None:
    """A checkpoint of the pretraining phase has none, and that is said before anything is loaded."""
    full = load_file(home / "tiny" / "adapter.safetensors")
    plain = {n: t for n, t in full.items() if "lora" not in n and not (n.startswith("llama.") and n.endswith(".bias"))}
    save_file(plain, tmp_path / "plain.safetensors")
    document = experiment(
        home, tmp_path / "out", trainable="lora", weights={"adapter": str(tmp_path / "plain.safetensors")}
    )
    with pytest.raises(ConfigError, match="has no LoRA"):
        main([str(write_toml(tmp_path / "c.toml", document))])


def test_an_adapter_is_loaded_by_its_repository(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository that lies in the hub's cache is found by its id; one that does not comes with the next step."""
    from huggingface_hub import constants

    from musiscene.captions._mu_llama.options import Options, locate

    options = {name: str(home / "tiny" / file) for name, file in FILES.items()}
    commit = "a" * 40
    folder = tmp_path / "models--someone--scenes"
    (folder / "snapshots" / commit).mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    (folder / "snapshots" / commit / "adapter.safetensors").write_bytes(b"")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    found = locate(Options.read({**options, "musiscene": "someone/scenes"})).musiscene
    assert found == folder / "snapshots" / commit / "adapter.safetensors"
    with pytest.raises(BackendUnavailableError, match="hf download someone/other"):
        locate(Options.read({**options, "musiscene": "someone/other"}))
