"""Weights in shards over two processes (PyTorch's FSDP over gloo) learn, save and go on as one process does."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import curve, experiment, tiny_home

from musiscene.errors import ConfigError
from musiscene.networks.mu_llama.tiny import write_tiny
from train.finetune import main

YAML = """
compute_environment: LOCAL_MACHINE
distributed_type: FSDP
mixed_precision: 'no'
num_machines: 1
num_processes: 2
machine_rank: 0
use_cpu: true
main_process_port: 0
fsdp_config:
  fsdp_version: 2
  fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP
  fsdp_transformer_layer_cls_to_wrap: TrainedLayer
  fsdp_reshard_after_forward: true
  fsdp_state_dict_type: FULL_STATE_DICT
"""


def launch(yaml: Path, config: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Run it as `accelerate launch --config_file` does, on two processes."""
    driver = Path(__file__).parent / "fsdp_on_cpu.py"
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(yaml), str(driver), str(config)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    return done.returncode, done.stderr


@pytest.mark.slow(seconds=65)
def test_shards_learn_and_go_on_as_one_process_does(
    tmp_path: Path,
    write_toml: Callable[..., Path],
    write_chirp: Callable[..., Path],
    run_environment: dict[str, str],
) -> None:
    """The losses and the weights are those of one process, also when the run goes on from its middle."""
    home = tiny_home(tmp_path / "home", write_chirp)
    change: dict[str, Any] = {
        "trainable": "both",
        "optimiser": {"epochs": 1},
        "validation": {"metric": "loss", "captions": 0},
        "output": {"save_every": 1, "keep": 20},
    }
    assert main([str(write_toml(tmp_path / "one.toml", experiment(home, tmp_path / "one", **change)))]) == 0
    yaml, out = tmp_path / "shards.yaml", tmp_path / "two"
    yaml.write_text(YAML)
    config = write_toml(tmp_path / "two.toml", experiment(home, out, **change))
    code, told = launch(yaml, config, run_environment)
    assert code == 0, told[-3000:]
    whole = curve(out)
    for (step, loss, rate), (step_again, again, rate_again) in zip(curve(tmp_path / "one"), whole, strict=True):
        assert (step, rate) == (step_again, rate_again) and loss == pytest.approx(again, abs=2e-5)
    trained = load_file(out / "export" / "adapter.safetensors")
    for name, tensor in load_file(tmp_path / "one" / "export" / "adapter.safetensors").items():
        torch.testing.assert_close(trained[name], tensor, atol=2e-4, rtol=1e-3)

    for checkpoint in sorted((out / "checkpoints").glob("step-*"))[1:]:
        shutil.rmtree(checkpoint)
    (out / "best.safetensors").unlink()
    code, told = launch(yaml, config, run_environment)
    assert code == 0, told[-3000:]
    assert "going on after step 1" in told
    for (_, loss, _), (_, again, _) in zip(whole, curve(out), strict=True):
        assert loss == pytest.approx(again, abs=2e-6)


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("ACCELERATE_USE_FSDP", "true", "shards weights over GPUs only"),
        ("WORLD_SIZE", "2", "2 processes that do not know of each other"),
    ],
)
def test_processes_that_would_work_against_each_other_are_refused(
    tmp_path: Path,
    write_toml: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    value: str,
    sentence: str,
) -> None:
    """Without GPUs accelerate would start one run in each process, all in one folder; the sentence says what to use."""
    tiny = write_tiny(tmp_path / "tiny")
    document = {
        "out": "out",
        "data": {"path": "none.json"},
        "weights": {name: str(path) for name, path in tiny.items()},
    }
    monkeypatch.setenv(setting, value)
    with pytest.raises(ConfigError, match=sentence):
        main([str(write_toml(tmp_path / "c.toml", document))])
