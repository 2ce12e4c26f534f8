"""The dataset's parts: sources, places, quality, splits."""

from __future__ import annotations

import io
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from musiscene.errors import BackendUnavailableError, ConfigError, MediaError
from musiscene.media import probe
from train.dataset.config import SCENE_QUESTION, Captions, Clips, Dataset, Fetch, Source
from train.dataset.cutting import flac, sound, sound_name, window
from train.dataset.places import Places
from train.dataset.quality import Judge
from train.dataset.sources import class_filter, read_captions, read_rows, read_segments
from train.dataset.splits import joined, split_by_group
from train.dataset.stages import make_stage
from train.toml_files import read_config

SEGMENTS = """# Segments csv created Sun Mar  5 10:54:31 2017
# num_ytids=4
# YTID, start_seconds, end_seconds, positive_labels
--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"
-0SdAVK79lg, 30.000, 40.000, "/m/04rlf,/m/02mscn"
0abc_def-gh, 0.000, 10.000, "/m/05r5c"
zz, 20.500, 25.000, "/m/04rlf,/m/09x0r"
"""


def dataset(source: Source, out: Path, **rest: Any) -> Dataset:
    """A dataset of a source."""
    return Dataset(out=out, source=source, **rest)


def test_segments_of_a_class(tmp_path: Path) -> None:
    """The lines of AudioSet's CSV are read, and only those of the class are kept; ids may begin with a dash."""
    path = tmp_path / "segments.csv"
    path.write_text(SEGMENTS)
    assert len(list(read_segments(path))) == 4
    rows = read_rows(dataset(Source("audioset", segments=(path,), media=tmp_path), tmp_path))
    assert [(row["video_id"], row["start_s"], row["end_s"]) for row in rows] == [
        ("-0SdAVK79lg", 30.0, 40.0),
        ("zz", 20.5, 25.0),
    ]
    without = Source("audioset", segments=(path,), media=tmp_path, exclude=("/m/09x0r",))
    assert [row["video_id"] for row in read_rows(dataset(without, tmp_path))] == ["-0SdAVK79lg"]


def test_classes_by_name_and_with_all_below_them(tmp_path: Path) -> None:
    """Names are looked up in AudioSet's own files; an unknown one is told with the next step."""
    labels = tmp_path / "class_labels_indices.csv"
    labels.write_text('index,mid,display_name\n0,/m/09x0r,"Speech"\n1,/m/05r5c,"Piano"\n')
    ontology = tmp_path / "ontology.json"
    ontology.write_text(
        json.dumps(
            [
                {"id": "/m/04rlf", "name": "Music", "child_ids": ["/m/05r5c"]},
                {"id": "/m/05r5c", "name": "Piano", "child_ids": []},
            ]
        )
    )
    assert class_filter(["Speech"], labels, None) == {"/m/09x0r"}
    assert class_filter(["Music"], None, None) == {"/m/04rlf"}
    assert class_filter(["Music"], None, ontology) == {"/m/04rlf", "/m/05r5c"}
    with pytest.raises(ConfigError, match="'Kazoo' is not known"):
        class_filter(["Kazoo"], labels, ontology)


def test_the_authors_table_is_read(tmp_path: Path) -> None:
    """Their five columns become ours, ids come from a JSON in the same order, and an empty target stays empty."""
    table = tmp_path / "dataset.csv"
    table.write_text(
        "Music Caption 1,Music Caption 2,Video Caption,Mixtral Audio,Mixtral Video\n"
        '"Slow, sad.",Two,a man walks,"Both, merged",A man walks alone at dusk.\n'
        "One,Two,a dog runs,Merged,\n"
    )
    (tmp_path / "ids.json").write_text(json.dumps({"idA": {"pred": "", "q": ""}, "idB": {}}))
    source = Source("captions", file=table, ids=tmp_path / "ids.json")
    rows = read_rows(dataset(source, tmp_path))
    assert [row["video_id"] for row in rows] == ["idA", "idB"]
    assert rows[0]["music_caption_1"] == "Slow, sad." and rows[0]["msi_target"] == "A man walks alone at dusk."
    assert rows[0]["fusion_caption"] == "Both, merged" and "msi_target" not in rows[1]
    table.write_text('clip_id,msi_target\none,"Two\u2028lines,\nand a third."\n', encoding="utf-8")
    assert [row["msi_target"] for row in read_captions(table)] == ["Two lines, and a third."]
    with pytest.raises(ConfigError, match="none of the columns"):
        (tmp_path / "other.csv").write_text("a,b\n1,2\n")
        read_captions(tmp_path / "other.csv")


def test_conversations_keep_a_tracks_questions_together(tmp_path: Path) -> None:
    """Each question of MusicQA's JSON is a row; rows of one track share its video id, so that they share a split."""
    turns = [{"from": "human", "value": "What do you hear?"}, {"from": "gpt", "value": "A piano."}]
    entries = [{"audio_name": "1.wav", "conversation": turns}, {"audio_name": "1.wav", "conversation": turns}]
    (tmp_path / "qa.json").write_text(json.dumps(entries))
    rows = read_rows(dataset(Source("conversations", file=tmp_path / "qa.json", media=tmp_path), tmp_path))
    assert [row["video_id"] for row in rows] == ["1", "1"]
    assert len({row["clip_id"] for row in rows}) == 2
    assert rows[0]["question"] == "What do you hear?" and rows[0]["answer"] == "A piano."


def test_what_has_next_to_no_sound_is_an_error_row(tmp_path: Path, write_chirp: Callable[..., Path]) -> None:
    """Ten milliseconds are no clip; a question about nothing hears a second of silence, as in the original."""
    write_chirp(tmp_path / "blip.wav", 300, seconds=0.01)
    write_chirp(tmp_path / "clip.3gp.wav", 300, seconds=1.0).rename(tmp_path / "clip.3gp")
    folder = dataset(Source("folder", media=tmp_path), tmp_path)
    blip, clip = make_stage("sound", folder)(read_rows(folder))
    assert "only 0.01 s of sound" in blip["error"] and "audio" not in blip
    assert clip["clip_id"] == "clip" and clip["duration_s"] == 1.0
    turns = [{"from": "human", "value": "What is a fugue?"}, {"from": "gpt", "value": "A flight of voices."}]
    (tmp_path / "qa.json").write_text(json.dumps([{"conversation": turns}]))
    talk = dataset(Source("conversations", file=tmp_path / "qa.json", media=tmp_path), tmp_path)
    (row,) = make_stage("sound", talk)(read_rows(talk))
    silence, rate = soundfile.read(io.BytesIO(row["audio"]))
    assert len(silence) == rate and not silence.any() and row["duration_s"] == 1.0 and not row.get("error")


def test_clips_are_found_under_the_usual_names(tmp_path: Path, write_chirp: Callable[..., Path]) -> None:
    """A file of the whole video is cut where the segment lies; one named with its times begins with it."""
    write_chirp(tmp_path / "a" / "Yfull.wav", 300, seconds=20.0, rate=8000)
    write_chirp(tmp_path / "b" / "cut_30000_40000.wav", 300, seconds=10.0, rate=8000)
    places = Places(dataset(Source("folder", media=tmp_path), tmp_path))
    row = {"video_id": "full", "start_s": 6.0, "end_s": 16.0}
    path, begins = places.find(row)
    assert path.name == "Yfull.wav" and window(probe(path), 6.0, 16.0, begins_with_clip=begins) == (6.0, 16.0)
    path, begins = places.find({"video_id": "cut", "start_s": 30.0, "end_s": 40.0})
    assert window(probe(path), 30.0, 40.0, begins_with_clip=begins) == (0.0, 10.0)
    with pytest.raises(MediaError, match="no media file for absent"):
        places.find({"video_id": "absent", "start_s": 0.0, "end_s": 10.0})


def test_a_stored_sound_is_the_clips(tmp_path: Path, write_chirp: Callable[..., Path]) -> None:
    """The FLAC holds the segment at 24 kHz to 16 bits, and its name depends on its samples alone."""
    clip = probe(write_chirp(tmp_path / "a.wav", 500, seconds=4.0, rate=48_000))
    mono = sound(clip, 1.0, 3.0, 24_000)
    content = flac(mono, 24_000)
    (tmp_path / "a.flac").write_bytes(content)
    stored, rate = soundfile.read(tmp_path / "a.flac", dtype="float32")
    assert rate == 24_000 and len(stored) == 48_000
    np.testing.assert_allclose(stored, mono, atol=2 / 32768)
    assert sound_name(content) == sound_name(flac(stored, 24_000)) != sound_name(flac(stored[::-1], 24_000))


def test_the_fetcher_is_polite_and_remembers(tmp_path: Path) -> None:
    """Off by default; each clip is asked for once, a failure too, and its reason is told."""
    program = tmp_path / "program"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n'
        'case "$*" in *gone*) echo "ERROR: Video unavailable" >&2; exit 1;; esac\n'
        'while [ "$1" != "--output" ]; do shift; done\nname=$(echo "$2" | sed "s/%(ext)s/mkv/")\ntouch "$name"\n'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    media = tmp_path / "media"
    media.mkdir()
    source = Source("folder", media=media)
    row = {"video_id": "-there", "start_s": 30.0, "end_s": 40.0}
    with pytest.raises(MediaError, match="no media file"):
        Places(dataset(source, tmp_path)).find(row)
    config = dataset(source, tmp_path, fetch=Fetch(enabled=True, command=str(program), pause_s=0.0))
    for _ in range(2):
        path, begins = Places(config).find(row)
        assert path.name == "-there_30_40.mkv" and begins
        with pytest.raises(MediaError, match="gone could not be fetched: Video unavailable"):
            Places(config).find({"video_id": "gone", "start_s": 0.0, "end_s": 10.0})
    asked = (tmp_path / "asked").read_text().splitlines()
    assert len(asked) == 2 and "*30-40" in asked[0] and "watch?v=-there" in asked[0]
    missing = dataset(source, tmp_path, fetch=Fetch(enabled=True, command=str(tmp_path / "absent"), pause_s=0.0))
    with pytest.raises(BackendUnavailableError, match="pip install yt-dlp"):
        Places(missing).find({"video_id": "x", "start_s": 0.0, "end_s": 10.0})


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("A quiet street in the rain, seen from above.", ""),
        ("", "empty"),
        ("Rain.", "too short"),
        ("I'm sorry, but I cannot help with that request today.", "refusal"),
        ("Describe the video from the given video and music information.", "prompt echo"),
        ("A man walks along the shore at dusk.", "prompt echo"),
        ("the rain falls down " * 30, "loop"),
        ("word " * 700, "too long"),
    ],
)
def test_targets_are_judged(tmp_path: Path, answer: str, reason: str) -> None:
    """Refusals, echoes of the prompt or of a caption, loops and empty answers are left out, each with its reason."""
    judge = Judge(dataset(Source("folder", media=tmp_path), tmp_path))
    row = {
        "clip_id": "a",
        "answer": answer,
        "question": SCENE_QUESTION,
        "video_caption": "a man walks along the shore at dusk",
        "music_caption_1": "slow piano",
    }
    assert judge.why_not(row) == reason


def test_a_sound_is_kept_once(tmp_path: Path) -> None:
    """The same sound under another id is a duplicate; with another question it is not."""
    judge = Judge(dataset(Source("folder", media=tmp_path), tmp_path))
    row = {"clip_id": "a", "answer": "A quiet street in the rain.", "question": "What?", "audio_sha256": "one"}
    assert [judge.why_not(row), judge.why_not({**row, "clip_id": "b"})] == ["", "duplicate"]
    assert judge.why_not({**row, "question": "Where?"}) == ""


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 60)), min_size=1, max_size=120),
    st.integers(0, 2**31 - 1),
)
def test_nothing_leaks_between_splits(pairs: list[tuple[int, int]], seed: int) -> None:
    """Whatever clips share a video or a sound, directly or over others, are in one split; the shares are kept."""
    videos = [f"v{video}" for video, _ in pairs]
    sounds = [f"s{sound}" if sound else "" for _, sound in pairs]
    groups = joined(videos, sounds)
    split = split_by_group(groups, {"train": 0.8, "validation": 0.2}, seed)
    for names in (videos, sounds):
        found: dict[str, set[str]] = {}
        for name, part in zip(names, split, strict=True):
            if name:
                found.setdefault(name, set()).add(part)
        assert all(len(parts) == 1 for parts in found.values())
    assert split == split_by_group(groups, {"train": 0.8, "validation": 0.2}, seed)
    largest = max(groups.count(group) for group in set(groups))
    assert abs(split.count("train") - 0.8 * len(pairs)) <= largest
    assert len(set(groups)) == 1 or set(split) == {"train", "validation"}


def test_the_papers_split_has_the_papers_sizes() -> None:
    """3,371 clips of as many videos are cut into 2,697 and 674."""
    split = split_by_group([str(number) for number in range(3371)], {"train": 0.8, "validation": 0.2}, 0)
    assert (split.count("train"), split.count("validation")) == (2697, 674)


def test_mistakes_in_a_configuration_are_named(tmp_path: Path, write_toml: Callable[..., Path]) -> None:
    """An unknown name, a wrong type and a missing path are each one sentence."""
    base = {"out": "o", "source": {"kind": "folder", "media": "m"}}
    for change, said in (
        ({"sorce": 1}, "'sorce', which means nothing"),
        ({"seed": "one"}, "seed must be a whole number"),
        ({"source": {"kind": "radio"}}, "source.kind must be one of"),
        ({"source": {"kind": "audioset"}}, "source.segments is needed"),
        ({"splits": {"train": 0.5}}, "add up to 1"),
    ):
        with pytest.raises(ConfigError, match=said):
            read_config(write_toml(tmp_path / "c.toml", {**base, **change}), Dataset)
    config = read_config(write_toml(tmp_path / "c.toml", base), Dataset)
    assert config.out == tmp_path / "o" and config.source.media == tmp_path / "m"
    assert config.captions == Captions() and config.clips == Clips() and os.fspath(config.out)
