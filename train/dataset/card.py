"""The dataset card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from train.dataset.config import Dataset

if TYPE_CHECKING:
    from train.dataset.assemble import Report

_ORIGIN = {
    "audioset": (
        "The clips are segments of AudioSet (Gemmeke et al., 2017). Its labels are under CC BY 4.0; the clips "
        "themselves belong to those who published them, and sharing them needs their leave."
    ),
    "folder": "The clips are from a folder of whoever built this; their rights are with their owners.",
    "captions": "The captions come from a table; its licence is that of its authors.",
    "conversations": "Questions and answers come from a file of MusicQA's kind; its licence is that of its authors.",
}


def card(config: Dataset, report: Report) -> str:
    """The card in Markdown, with the fields that the hub reads."""
    files = "\n".join(f"  - split: {name}\n    path: data/{name}-*.parquet" for name in config.splits)
    splits = "\n".join(f"| {name} | {count} |" for name, count in report.splits.items())
    models = "\n".join(
        f"| {stage} | {name} | {count} |" for stage, names in report.models.items() for name, count in names.items()
    )
    left_out = "\n".join(f"| {reason} | {count} |" for reason, count in report.left_out.items()) or "| none | 0 |"
    failed = ", ".join(f"{count} in the stage {stage}" for stage, count in report.failed.items()) or "none"
    words = report.words
    return f"""---
pretty_name: {config.name}
language: en
license: other
task_categories: [audio-to-text, text-generation]
tags: [music, captioning, musiscene]
size_categories: {_size(sum(report.splits.values()))}
configs:
- config_name: default
  data_files:
{files}
---

# {config.name}

Music with the scene that goes with it: for each clip its sound, captions of what is seen and heard, and a
description of the scene, which a model is to imagine from the sound alone (MusiScene, arXiv 2507.05894).

| Split | Rows |
| --- | --- |
{splits}

{report.with_audio} rows have sound (mono, {config.clips.sample_rate} Hz, FLAC, at most {config.clips.length_s:g} s).
Targets have {words["mean"]:g} words on average (median {words["median"]:g}, {words["least"]:g} to {words["most"]:g}).

Rows of one video, and rows of one sound, are in one split. The order is drawn with the seed {config.seed}.

## Who wrote what

| Stage | Model | Rows |
| --- | --- | --- |
{models or "| – | the source's own words | – |"}

Captions are written by models from the clip; no person has checked them. `prompts` holds what language models were
asked, `models` and `revisions` which they were, `licenses` their licences, `seed` the seed of each row.

## What was left out

| Reason | Rows |
| --- | --- |
{left_out}

Failed: {failed}. `left-out.jsonl` names each of the {report.rows - sum(report.splits.values())} rows with its reason.

## Columns

`clip_id`, `video_id`, `source`, `start_s`, `end_s`, `duration_s`, `labels`, `audio`, `has_audio`, `audio_sha256`;
`video_caption`, `music_caption_1`, `music_caption_2`, `fusion_caption`, `msi_target`; `question` and `answer`, which
are what is learnt; `prompts`, `models`, `revisions` (JSON), `licenses`, `seed`.

## Rights

{_ORIGIN[config.source.kind]} Words written by LLaMA-based models are under the Llama 2 Community
License's conditions; MERT, which MU-LLaMA listens with, is for non-commercial use (CC-BY-NC-4.0).
"""


def _size(rows: int) -> str:
    for limit, name in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")):
        if rows < limit:
            return name
    return "1M<n<10M"
