"""Checkpoints that are written while the training goes on."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from musiscene.errors import StorageError
from train.tuning import saving
from train.tuning.saving import Background, Checkpoints, Place
from train.tuning.sharding import gather_state


def test_one_is_written_at_a_time_and_the_last_is_waited_for() -> None:
    """The second waits for the first; closing waits for the second."""
    background, go_on, done = Background(), threading.Event(), list[str]()

    def first() -> None:
        go_on.wait()
        done.append("first")

    background.begin(first)
    assert done == []  # the training goes on
    go_on.set()
    background.begin(lambda: done.append("second"))
    assert done[0] == "first"
    background.close()
    assert done == ["first", "second"]


def test_a_save_that_failed_is_told_at_the_next_and_at_the_end() -> None:
    """Once, and nothing is written after it unless it is begun again."""

    def refused() -> None:
        raise StorageError("The disk is full.")

    background, done = Background(), list[str]()
    background.begin(refused)
    with pytest.raises(StorageError):
        background.begin(lambda: done.append("never"))
    assert done == []
    background.begin(refused)
    with pytest.raises(StorageError):
        background.close()


def test_until_a_checkpoint_is_whole_the_one_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies on the disk in the middle of a save, where a kill would leave it, resumes from the last whole one."""
    checkpoints, background = Checkpoints(tmp_path, 1, {}), Background()
    checkpoints.save({"w": torch.ones(3)}, {"w": {"step": torch.tensor(1.0)}}, Place(step=1))
    halfway, go_on = threading.Event(), threading.Event()
    write = saving.save_published

    def slowly(tensors: dict[str, torch.Tensor], path: Path) -> None:
        write(tensors, path)
        halfway.set()
        go_on.wait()

    monkeypatch.setattr(saving, "save_published", slowly)
    background.begin(lambda: checkpoints.save({"w": torch.zeros(3)}, {}, Place(step=2)))  # type: ignore[arg-type]
    halfway.wait()
    left = Checkpoints(tmp_path, 1, {}).load()
    go_on.set()
    background.close()
    assert left is not None and left.place.step == 1 and left.weights["w"].tolist() == [1.0, 1.0, 1.0]
    whole = checkpoints.load()
    assert whole is not None and whole.place.step == 2
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002-0000"]


def test_what_is_saved_is_a_copy() -> None:
    """Steps that are taken while it is written change neither weights nor AdamW's state in it."""
    accelerator = Accelerator()
    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)

    def step() -> None:
        network(torch.ones(1, 3)).sum().backward()
        optimizer.step()

    step()
    weights, states = gather_state(accelerator, network, optimizer)
    before = {name: tensor.clone() for name, tensor in weights.items()}
    moments = {name: {key: tensor.clone() for key, tensor in state.items()} for name, state in states.items()}
    step()
    assert all(torch.equal(before[name], tensor) for name, tensor in weights.items())
    assert not torch.equal(weights["weight"], network.weight)
    assert all(torch.equal(moments[name][key], tensor) for name in states for key, tensor in states[name].items())
    assert states["weight"]["step"].item() == 1.0
