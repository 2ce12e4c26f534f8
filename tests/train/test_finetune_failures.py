"""What can go wrong in a run: each ends it with one sentence, and the last checkpoint stays and can be gone on from."""

from __future__ import annotations

import json
import re
import resource
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from tiny_run import curve, experiment, tiny_home

from musiscene.errors import BackendUnavailableError, ConfigError, StorageError
from musiscene.networks.mu_llama.tiny import tiny_tokenizer
from train.failures import TrainingError, run_main, told
from train.finetune import main
from train.tuning.network import Trainee
from train.tuning.sources import locate as find_weights


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, write_chirp: Callable[..., Path]) -> Path:
    """Conversations over sounds, and a tiny network."""
    return tiny_home(tmp_path_factory.mktemp("run"), write_chirp)


@pytest.fixture(scope="module")
def begun(home: Path, tmp_path_factory: pytest.TempPathFactory, write_toml: Callable[..., Path]) -> Path:
    """A folder with a whole run in `whole`, and the same as it was after its second step in `out`."""
    folder = tmp_path_factory.mktemp("begun")
    document = experiment(home, folder / "whole", output={"keep": 20})
    assert main([str(write_toml(folder / "whole.toml", document))]) == 0
    shutil.copytree(folder / "whole", folder / "out", ignore=shutil.ignore_patterns("export", "best*"))
    for later in sorted((folder / "out" / "checkpoints").glob("step-*"))[1:]:
        shutil.rmtree(later)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def gated_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A stand-in for the hub that knows every repository and gives none of them away."""

    class Gate(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

        def do_GET(self) -> None:
            self.send_response(403)
            self.send_header("X-Error-Code", "GatedRepo")
            self.send_header("X-Error-Message", "Access to this model is restricted")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Gate)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield
    server.shutdown()
    server.server_close()


def no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on every loss is no number."""
    real = Trainee.forward
    monkeypatch.setattr(Trainee, "forward", lambda self, *a, **k: real(self, *a, **k) * float("nan"))


def full_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device refuses memory, in CUDA's own words."""

    def refuse(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 512 MiB free.")

    monkeypatch.setattr(Trainee, "forward", refuse)


SENTENCES = {
    "no number": "so nothing can be learnt from here",
    "full disk": "Make room and run again",
    "missing clip": "have no sound, the first of them",
    "wrong tokenizer": "another model's. Name the folder",
    "gated weights": "are gated, and this account has no access: ask for it on",
    "full GPU": "The GPU's memory is full. Lower batches.tokens",
}


@pytest.mark.slow
@pytest.mark.parametrize("failure", SENTENCES)
def test_what_goes_wrong_is_one_sentence_and_the_last_checkpoint_stays(
    failure: str,
    home: Path,
    begun: Path,
    tmp_path: Path,
    write_toml: Callable[..., Path],
    small_files: Callable[[int], None],
    gated_hub: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In the middle of a run; afterwards the same command ends it as if nothing had been."""
    out = tmp_path / "out"
    shutil.copytree(begun / "out", out)
    document = experiment(home, out, output={"keep": 20})
    broken = json.loads(json.dumps(document))
    before = contents(out / "checkpoints")
    if failure == "missing clip":
        shutil.copytree(home / "audio", tmp_path / "audio")
        (tmp_path / "audio" / "3.wav").unlink()
        broken["data"]["audio"] = str(tmp_path / "audio")
    elif failure == "wrong tokenizer":
        (tmp_path / "other").mkdir()
        tiny_tokenizer(300).save(str(tmp_path / "other" / "tokenizer.json"))
        broken["weights"]["tokenizer"] = str(tmp_path / "other")
    elif failure == "gated weights":
        broken["weights"]["base"] = "meta-llama/Llama-2-7b-chat-hf"

    with monkeypatch.context() as patch:
        if failure == "no number":
            no_number(patch)
        elif failure == "full GPU":
            full_gpu(patch)
        elif failure == "full disk":
            small_files(2000)
        code = run_main(lambda: main([str(write_toml(tmp_path / "broken.toml", broken))]))
        small_files(resource.RLIM_INFINITY)

    said = capsys.readouterr().err
    assert code == 2
    assert "Traceback" not in said
    assert SENTENCES[failure] in said.strip().splitlines()[-1]
    assert contents(out / "checkpoints") == before
    assert main([str(write_toml(tmp_path / "again.toml", document))]) == 0
    assert curve(out) == curve(begun / "whole")


@pytest.mark.slow(seconds=2)
def test_a_loss_that_is_no_number_ends_the_run(home: Path, tmp_path: Path, write_toml: Callable[..., Path]) -> None:
    """The sentence names the step and what to change, and what was saved before holds numbers only."""
    document = experiment(home, tmp_path / "out", optimiser={"lr": 1e30, "epochs": 4}, output={"save_every": 1})
    with pytest.raises(TrainingError, match=r"step \d+, so nothing can be learnt.*last checkpoint is intact"):
        main([str(write_toml(tmp_path / "c.toml", document))])
    kept = sorted((tmp_path / "out" / "checkpoints").glob("step-*"))
    assert all(torch.isfinite(t).all() for path in kept for t in load_file(path / "trained.safetensors").values())


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """Lets the system refuse files larger than some bytes, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.slow
def test_a_disk_that_refuses_leaves_the_last_checkpoint(
    home: Path, tmp_path: Path, write_toml: Callable[..., Path], small_files: Callable[[int], None]
) -> None:
    """The sentence says so; with room again, the same command goes on and ends as if nothing had been."""
    whole = write_toml(tmp_path / "whole.toml", experiment(home, tmp_path / "whole"))
    assert main([str(whole)]) == 0
    out = tmp_path / "out"
    short = write_toml(tmp_path / "short.toml", experiment(home, out))
    document = experiment(home, out)
    from train import finetune as module  # the run is made to end in its second epoch by the system, not by a stub

    saves = {"count": 0}
    original = module.Checkpoints.save

    def counted(self: Any, *arguments: Any) -> Path:
        saves["count"] += 1
        if saves["count"] == 3:
            small_files(2000)
        return original(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.Checkpoints, "save", counted)
        with pytest.raises(StorageError, match="could not be written"):
            main([str(short)])
    small_files(resource.RLIM_INFINITY)
    assert len(list((out / "checkpoints").glob("step-*"))) == 2 and not list((out / "checkpoints").glob(".*"))
    assert main([str(write_toml(tmp_path / "again.toml", document))]) == 0
    assert curve(out) == curve(tmp_path / "whole")


@pytest.mark.slow(seconds=2)
def test_a_missing_clip_is_named(home: Path, tmp_path: Path, write_toml: Callable[..., Path]) -> None:
    """By default the run does not begin; if asked to, it leaves such items out."""
    entries = json.loads((home / "learn.json").read_text())
    (tmp_path / "learn.json").write_text(json.dumps([*entries, {**entries[0], "audio_name": "gone.wav"}]))
    document = experiment(home, tmp_path / "out", data={"path": str(tmp_path / "learn.json")})
    with pytest.raises(TrainingError, match=r"1 of 9 items of the train split have no sound, .*gone.wav"):
        main([str(write_toml(tmp_path / "c.toml", document))])
    document["data"]["missing"] = "skip"
    document["optimiser"]["epochs"] = 1
    assert main([str(write_toml(tmp_path / "c.toml", document))]) == 0


def test_a_sound_that_cannot_be_heard_is_named(home: Path, tmp_path: Path, write_toml: Callable[..., Path]) -> None:
    """Ten milliseconds are too short for MERT; the sentence says whose they are."""
    entries = json.loads((home / "learn.json").read_text())
    shutil.copytree(home / "audio", tmp_path / "audio")
    soundfile.write(tmp_path / "audio" / "blip.wav", np.zeros(240), 24_000)
    (tmp_path / "learn.json").write_text(json.dumps([{**entries[0], "audio_name": "blip.wav"}]))
    data = {"path": str(tmp_path / "learn.json"), "audio": str(tmp_path / "audio")}
    document = experiment(home, tmp_path / "out", data=data)
    with pytest.raises(TrainingError, match=r"The item blip\.wav cannot be heard: .*0\.1 s are needed"):
        main([str(write_toml(tmp_path / "c.toml", document))])


@pytest.mark.parametrize(
    ("table", "setting", "value"),
    [
        ("optimiser", "lr", float("inf")),
        ("optimiser", "lr", -1.0),
        ("optimiser", "warmup_epochs", -1.0),
        ("optimiser", "betas", [0.9, 1.5]),
        ("validation", "max_new", 0),
        ("validation", "patience", -2),
        ("batches", "tokens", 0),
        ("memory", "cache_ram_gb", -1.0),
    ],
)
def test_a_value_that_means_nothing_is_named(
    home: Path, tmp_path: Path, write_toml: Callable[..., Path], table: str, setting: str, value: Any
) -> None:
    """Before anything is loaded, with the setting and what it was."""
    document = experiment(home, tmp_path / "out", **{table: {setting: value}})
    with pytest.raises(ConfigError, match=rf"{table}\.\S*{setting}.*got {re.escape(str(value))}"):
        main([str(write_toml(tmp_path / "c.toml", document))])


def test_another_models_tokenizer_is_refused(home: Path, tmp_path: Path, write_toml: Callable[..., Path]) -> None:
    """The sizes of both are told, with the setting to change."""
    (tmp_path / "other").mkdir()
    tiny_tokenizer(300).save(str(tmp_path / "other" / "tokenizer.json"))
    document = experiment(home, tmp_path / "out", weights={"tokenizer": str(tmp_path / "other")})
    with pytest.raises(TrainingError, match=r"tokenizer of \d+ tokens and the network has 400.*weights.tokenizer"):
        main([str(write_toml(tmp_path / "c.toml", document))])


def test_weights_that_are_not_here_are_named(tmp_path: Path) -> None:
    """Gated ones come with where to ask, and a name that means nothing with where to look."""
    with pytest.raises(BackendUnavailableError, match=r"llama-2-7b-chat-hf are not here.*Ask for access"):
        find_weights("llama-2-7b-chat-hf", tmp_path)
    with pytest.raises(BackendUnavailableError, match="no name in `musiscene weights list`"):
        find_weights("llama-3", tmp_path)
    with pytest.raises(BackendUnavailableError, match="neither on this machine nor reachable"):
        find_weights("someone/adapter", tmp_path, endpoint="http://127.0.0.1:9")


def test_memory_and_disk_that_are_full_are_told() -> None:
    """What torch and the system raise becomes one sentence with the next step; a defect does not."""
    with pytest.raises(RuntimeError) as full:
        torch.empty(2**50)
    assert "main memory is full" in str(told(full.value))
    assert "batches.tokens" in str(told(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")))
    assert "disk is full" in str(told(OSError(28, "No space left on device")))
    assert told(ValueError("a defect")) is None
