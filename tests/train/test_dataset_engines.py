"""Building a dataset: the local engine and Ray give the same rows; work that was ended goes on."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest
import soundfile

from musiscene.networks.mu_llama.tiny import write_tiny
from train.build_dataset import main

CLIPS = 8


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory, write_chirp: Callable[..., Path], small_video: Path) -> Path:
    """A video with music, sounds that differ, one sound twice under two names, and a file that is no media."""
    folder = tmp_path_factory.mktemp("media")
    shutil.copyfile(small_video, folder / "video.mp4")
    for number in range(CLIPS - 3):
        write_chirp(folder / f"sound{number}.wav", 200.0 + 70 * number)
    shutil.copyfile(folder / "sound0.wav", folder / "again.wav")
    (folder / "broken.wav").write_bytes(b"this is no sound")
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny random MU-LLaMA."""
    return write_tiny(tmp_path_factory.mktemp("tiny"))


def configuration(media: Path, out: Path, **rest: Any) -> dict[str, Any]:
    """A dataset of the folder, with the sketch captioners."""
    return {
        "out": str(out),
        "source": {"kind": "folder", "media": str(media)},
        "clips": {"length_s": 3.0},
        "work": {"chunk": 2, **rest.pop("work", {})},
        **rest,
    }


def rows(out: Path) -> dict[str, list[dict[str, Any]]]:
    """Everything that was written, by split."""
    found: dict[str, list[dict[str, Any]]] = {}
    for file in sorted((out / "data").glob("*.parquet")):
        found.setdefault(file.name.partition("-")[0], []).extend(pq.read_table(file).to_pylist())
    return found


def parts(out: Path) -> dict[str, Any]:
    """Every finished row as it was kept."""
    return {path.name: pq.read_table(path).to_pylist() for path in sorted((out / "parts").glob("part-*.parquet"))}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, media: Path, write_toml: Callable[..., Path]) -> Path:
    """A dataset built in one go by one process."""
    folder = tmp_path_factory.mktemp("local")
    assert main([str(write_toml(folder / "c.toml", configuration(media, folder / "out")))]) == 0
    return folder / "out"


def test_every_row_has_what_it_should(built: Path) -> None:
    """Sound, captions, prompts, models, revisions, licences, question and answer are there; what failed is told."""
    found = rows(built)
    everything = [row for split in found.values() for row in split]
    assert set(found) == {"train", "validation"} and len(everything) == CLIPS - 2
    for row in everything:
        stored, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
        assert rate == 24_000 and len(stored) / rate == pytest.approx(row["duration_s"], abs=1e-3) and row["has_audio"]
        assert row["music_caption_1"] and row["msi_target"] == row["answer"] and row["question"]
        models = json.loads(row["models"])
        assert models["music"]["backend"] == "sketch" and models["target"]["license"] and row["licenses"]
    (video,) = [row for row in everything if row["clip_id"] == "video"]
    assert video["video_caption"] and video["fusion_caption"]
    report = json.loads((built / "report.json").read_text())
    assert report["left_out"] == {"duplicate": 1, "failed": 1} and report["failed"] == {"sound": 1}
    left_out = [json.loads(line) for line in (built / "left-out.jsonl").read_text().splitlines()]
    assert {line["clip_id"]: line["reason"] for line in left_out} == {"broken": "failed", "sound0": "duplicate"}
    card = (built / "README.md").read_text()
    assert card.startswith("---\n") and "| duplicate | 1 |" in card and "path: data/train-*.parquet" in card


def test_the_datasets_library_reads_it(built: Path, tmp_path: Path) -> None:
    """`load_dataset` finds the splits and knows the sound as sound."""
    from datasets import Audio, load_dataset

    loaded = load_dataset(str(built), cache_dir=str(tmp_path))
    assert set(loaded) == {"train", "validation"}
    assert isinstance(loaded["train"].features["audio"], Audio)
    first = loaded["train"].cast_column("audio", Audio(decode=False))[0]
    assert first["audio"]["bytes"][:4] == b"fLaC" and first["answer"]


def test_the_same_command_repeats_nothing(built: Path, media: Path, write_toml: Callable[..., Path]) -> None:
    """Finished parts are left as they are; another question to the data is refused in this folder."""
    before = {path.name: path.stat().st_mtime_ns for path in (built / "parts").glob("part-*")}
    assert main([str(built.parent / "c.toml")]) == 0
    assert before == {path.name: path.stat().st_mtime_ns for path in (built / "parts").glob("part-*")}
    other = configuration(media, built, seed=5)
    with pytest.raises(Exception, match="begun with another seed"):
        main([str(write_toml(built.parent / "other.toml", other))])


def command(config: Path, *options: str) -> list[str]:
    """The command in a process of its own."""
    return [sys.executable, "-m", "train.build_dataset", str(config), *options]


def killed_and_resumed(config: Path, out: Path, environment: dict[str, str], *options: str) -> None:
    """Start, kill as soon as a part is finished, look that it was in the middle, and run to the end."""
    started = subprocess.Popen(
        command(config, *options),
        env=environment,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not list((out / "parts").glob("part-*.parquet")) and started.poll() is None:
        time.sleep(0.02)
    everything = [psutil.Process(started.pid), *psutil.Process(started.pid).children(recursive=True)]
    for process in everything:  # Ray's own processes too: they would outlive their driver by a moment
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    started.wait()
    finished = {path.name: path.stat().st_mtime_ns for path in (out / "parts").glob("part-*.parquet")}
    assert 0 < len(finished) < CLIPS // 2 and not (out / "README.md").exists()
    done = subprocess.run(command(config, *options), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    before = re.search(rf"{CLIPS} clips, (\d+) of them finished before", done.stderr)
    assert before and 2 * len(finished) <= int(before[1]) < CLIPS
    for name, written in finished.items():
        assert (out / "parts" / name).stat().st_mtime_ns == written, f"{name} was done twice"


@pytest.mark.slow
def test_processes_killed_and_resumed_give_the_same_rows(
    built: Path, media: Path, tmp_path: Path, write_toml: Callable[..., Path], run_environment: dict[str, str]
) -> None:
    """Two processes, killed in the middle and resumed, leave byte for byte what one did in one go."""
    out = tmp_path / "out"
    config = write_toml(tmp_path / "c.toml", configuration(media, out, work={"processes": 2}))
    killed_and_resumed(config, out, run_environment)
    assert rows(out) == rows(built)


@pytest.mark.slow(seconds=70)
def test_ray_killed_and_resumed_gives_the_same_rows(
    media: Path,
    tiny: dict[str, Path],
    tmp_path: Path,
    write_toml: Callable[..., Path],
    run_environment: dict[str, str],
) -> None:
    """A real local Ray cluster with sketch and tiny-model captioners, killed and resumed: the local engine's rows."""
    captions = {
        "video": "none",  # each stage is a process of Ray's, and starting those is what takes the time
        "fusion": "none",
        "music": "mu-llama",
        "second_question": "What do you hear?",
        "options": {
            "mu-llama": {**{n: str(p) for n, p in tiny.items()}, "max_new": 8, "cache_dir": str(tmp_path / "heard")}
        },
    }
    stages = {name: {"num_cpus": 0.25} for name in ("sound", "music", "target")}
    ray = {"num_cpus": 2, "stages": stages, "env": {"OMP_NUM_THREADS": "1"}}
    quality = {"loops": False, "echoes": False, "refusals": False, "min_words": 1}
    local, out = tmp_path / "local", tmp_path / "out"
    shared = {"captions": captions, "ray": ray, "quality": quality}
    assert main([str(write_toml(tmp_path / "local.toml", configuration(media, local, **shared)))]) == 0
    config = write_toml(tmp_path / "c.toml", configuration(media, out, **shared))
    killed_and_resumed(config, out, run_environment, "--engine", "ray")
    assert parts(out) == parts(local)
    assert rows(out) == rows(local)


def test_a_captioner_that_cannot_run_is_told_before_any_work(
    media: Path, tmp_path: Path, write_toml: Callable[..., Path]
) -> None:
    """Its reason and the next step come at once, and no folder is made."""
    captions = {"music": "mu-llama", "options": {"mu-llama": {"weights_dir": str(tmp_path / "none")}}}
    config = write_toml(tmp_path / "c.toml", configuration(media, tmp_path / "out", captions=captions))
    with pytest.raises(Exception, match=r"captions.music = 'mu-llama' cannot run here: .*weights download mu-llama"):
        main([str(config)])
    assert not (tmp_path / "out").exists()


def test_failed_clips_are_tried_again_when_asked(
    media: Path, tmp_path: Path, write_toml: Callable[..., Path], write_chirp: Callable[..., Path]
) -> None:
    """After the file was mended, `--retry-failed` does its chunk again and no other."""
    folder = tmp_path / "media"
    shutil.copytree(media, folder)
    captions = {"video": "none", "fusion": "none"}
    config = write_toml(tmp_path / "c.toml", configuration(folder, tmp_path / "out", captions=captions))
    assert main([str(config)]) == 0
    write_chirp(folder / "broken.wav", 999.0)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "parts").glob("part-*")}
    assert main([str(config), "--retry-failed"]) == 0
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "parts").glob("part-*")}
    assert sum(before[name] != after[name] for name in before) == 1
    assert "broken" in {row["clip_id"] for split in rows(tmp_path / "out").values() for row in split}
