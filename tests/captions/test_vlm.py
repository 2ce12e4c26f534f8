"""The captioners whose networks transformers loads, with tiny random checkpoints made here."""

from __future__ import annotations

import itertools
import json
import threading
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    GitConfig,
    GitForCausalLM,
    LlamaConfig,
    PreTrainedTokenizerFast,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
)

from musiscene import media
from musiscene.captions import git_vatex, vlm
from musiscene.captions._hub import plain_sentence
from musiscene.captions._moments import Cutting, as_sentence, centrality
from musiscene.errors import BackendUnavailableError, ConfigError, Stopped
from musiscene.registry import BackendSpec, Pool
from musiscene.types import Caption, CaptionKind, CaptionRequest, Clip, Job

SPECS = {"smolvlm": vlm.SPEC, "git-vatex": git_vatex.SPEC}


@pytest.fixture(scope="module", autouse=True)
def _one_thread(one_torch_thread: None) -> None:
    """All tests here."""


def save_tokenizer(folder: Path, marks: list[str], size: int) -> None:
    words = marks + [f"word{i}" for i in range(size - len(marks))]
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=words[-1]))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, unk_token=words[-1], pad_token=marks[0])
    tokenizer.add_special_tokens({"additional_special_tokens": marks})
    tokenizer.save_pretrained(folder)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each backend, as its repository on the hub is laid out."""
    torch.manual_seed(0)
    smol = tmp_path_factory.mktemp("smol")
    marks = ["<pad>", "<|im_start|>", "<end_of_utterance>", "<fake_token_around_image>", "<global-img>", "<image>"]
    vision = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = LlamaConfig(
        vocab_size=80,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    config = SmolVLMConfig(
        vision_config={**vision, "image_size": 64, "patch_size": 8},
        text_config=text.to_dict(),
        image_token_id=5,
        scale_factor=4,
    )
    SmolVLMForConditionalGeneration(config).save_pretrained(smol)
    save_tokenizer(smol, marks, 80)
    sides = {"size": {"longest_edge": 64}, "max_image_size": {"longest_edge": 64}}
    (smol / "preprocessor_config.json").write_text(
        json.dumps({"image_processor_type": "SmolVLMImageProcessor", **sides})
    )

    git = tmp_path_factory.mktemp("git")
    config = GitConfig(
        vision_config={**vision, "image_size": 32, "patch_size": 16},
        vocab_size=60,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        num_image_with_embedding=3,
        bos_token_id=1,
        eos_token_id=2,
    )
    GitForCausalLM(config).save_pretrained(git)
    save_tokenizer(git, ["[PAD]", "[CLS]", "[SEP]"], 60)
    sides = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    (git / "preprocessor_config.json").write_text(
        json.dumps({"image_processor_type": "VideoMAEImageProcessor", **sides})
    )
    return {"smolvlm": smol, "git-vatex": git}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=4)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for index in range(96):
            image = np.full((64, 96, 3), (index * 2, 128, 255 - index * 2), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode())
    return media.probe(path)


def describe(spec: BackendSpec, folder: Path, clip: Clip, job: Job | None = None, **options: object) -> Caption:
    pool = Pool(options={spec.name: {"weights": folder, "device": "cpu", **options}})
    request = CaptionRequest(frozenset({CaptionKind.VIDEO}), video=clip)
    (caption,) = pool.captioner(spec).describe(request, job or Job())
    return caption


@pytest.mark.slow(seconds=2)
@pytest.mark.parametrize("name", SPECS)
def test_a_clip_gets_one_sentence(name: str, checkpoints: dict[str, Path], clip: Clip) -> None:
    """A long clip is captioned window by window, and the same again gives the same."""
    caption = describe(SPECS[name], checkpoints[name], clip)

    assert caption.backend == name
    assert caption.text[0].isupper() and caption.text[-1] in ".!?"
    assert [(w["start_s"], w["end_s"]) for w in caption.evidence["windows"]] == [(0, 12), (12, 24)]
    assert caption.evidence["frames_per_window"] == {"smolvlm": 8, "git-vatex": 3}[name]
    assert describe(SPECS[name], checkpoints[name], clip).text == caption.text
    json.dumps(caption.as_dict())


@pytest.mark.parametrize("name", SPECS)
def test_progress_grows_and_a_stop_ends_the_work(name: str, checkpoints: dict[str, Path], clip: Clip) -> None:
    """Progress is reported inside the network's call, never falls, and a stop there ends the work."""
    shares: list[float] = []
    describe(SPECS[name], checkpoints[name], clip, Job(report=lambda share, note: shares.append(share)))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) > 20

    stop = threading.Event()

    def report(share: float, note: str) -> None:
        if share > 0.2:
            stop.set()

    with pytest.raises(Stopped):
        describe(SPECS[name], checkpoints[name], clip, Job(report=report, stop=stop))


@pytest.mark.parametrize("name", SPECS)
def test_an_incomplete_model_is_not_run(name: str, checkpoints: dict[str, Path], clip: Clip, tmp_path: Path) -> None:
    """Missing tensors and missing files are errors that name the folder; nothing is left at random."""
    from safetensors.torch import load_file, save_file

    with pytest.raises(BackendUnavailableError, match=r"holds no config\.json"):
        describe(SPECS[name], tmp_path, clip)
    for file in checkpoints[name].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tensors = load_file(tmp_path / "model.safetensors")
    dropped = sorted(key for key in tensors if "layer" in key)[0]
    save_file({k: t for k, t in tensors.items() if k != dropped}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(BackendUnavailableError, match=r"incomplete: 1 missing keys"):
        describe(SPECS[name], tmp_path, clip)
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(BackendUnavailableError, match="cannot be loaded"):
        describe(SPECS[name], tmp_path, clip)


@pytest.mark.parametrize("name", SPECS)
def test_without_weights_it_says_what_to_do(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The listing names the command that fetches the weights, their size and their licence."""
    monkeypatch.setenv("MUSISCENE_DATA_DIR", str(tmp_path))
    reason = SPECS[name].why_unavailable() or ""

    assert "musiscene weights download" in reason
    assert SPECS[name].license in reason


def test_options_are_checked(checkpoints: dict[str, Path], clip: Clip) -> None:
    """Numbers out of range and unknown models are refused with the value."""
    with pytest.raises(ConfigError, match="not 0"):
        describe(vlm.SPEC, checkpoints["smolvlm"], clip, frames=0)
    with pytest.raises(ConfigError, match="not 'many'"):
        describe(git_vatex.SPEC, checkpoints["git-vatex"], clip, beams="many")
    with pytest.raises(BackendUnavailableError, match="no model 'gpt'"):
        Pool(options={"smolvlm": {"model": "gpt"}}).captioner(vlm.SPEC)


def test_the_prompt_is_the_one_that_smolvlm_knows(checkpoints: dict[str, Path]) -> None:
    """Frames stand with their times between the marks of the model's own chat, as many tokens as it makes of each."""
    loaded = Pool(options={"smolvlm": {"weights": checkpoints["smolvlm"], "device": "cpu"}}).captioner(vlm.SPEC)
    prompt = loaded.writer.prompt([0.5, 65.2])  # type: ignore[attr-defined]
    picture = "<fake_token_around_image><global-img>" + 4 * "<image>" + "<fake_token_around_image>"

    assert prompt == (
        "<|im_start|>User: You are provided the following series of two frames from a 0:01:05 [H:MM:SS] video.\n\n"
        f"Frame from 00:00:{picture}\nFrame from 01:05:{picture}\n\n{vlm.QUESTION}<end_of_utterance>\nAssistant:"
    )


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ("The video shows a man playing a guitar on a stage. He smiles.", "a man playing a guitar on a stage."),
        ("In this video, we see two dogs that run along a beach.", "two dogs that run along a beach."),
        ("A woman paints a wall.\nThen she rests.", "A woman paints a wall."),
        ("This clip depicts that Mr. Bean drives a car", "Mr. Bean drives a car"),
        ("I'm sorry, I cannot see the video.", ""),
        ("As an AI language model I have no eyes.", ""),
        ("", ""),
    ],
)
def test_answers_become_one_plain_sentence(answer: str, kept: str) -> None:
    """Lead-ins and further sentences go; refusals leave nothing."""
    assert plain_sentence(answer) == kept


def test_the_most_central_caption_stands_for_the_whole() -> None:
    """The caption that shares most content words with the others wins; filler words do not count."""
    texts = ["a man plays a guitar", "a man plays a guitar on the stage", "a man on a stage plays music", "a red car"]
    scores = centrality(texts)

    assert max(scores) == scores[1]
    assert min(scores) == scores[3] == 0.0
    assert centrality(["anything"]) == [1.0]
    assert centrality(["the a of", "is it"]) == [0.0, 0.0]


@pytest.mark.parametrize(
    ("text", "shown"), [(" a  man\nruns", "A man runs."), ("Who is it?", "Who is it?"), ("  ", "")]
)
def test_captions_are_sentences(text: str, shown: str) -> None:
    """One line, a capital, a mark at the end."""
    assert as_sentence(text) == shown


@pytest.mark.parametrize("duration_s", [0.04, 3.0, 10.0, 14.9, 15.1, 31.0, 119.0, 121.0, 7200.0])
def test_windows_lie_in_the_clip(duration_s: float) -> None:
    """Windows ascend, do not overlap, lie inside the clip, and cover it up to two minutes."""
    windows = Cutting().windows(duration_s)

    assert 1 <= len(windows) <= 12
    assert windows[0].start_s >= 0 and windows[-1].end_s <= duration_s
    assert all(a.end_s <= b.start_s for a, b in itertools.pairwise(windows))
    if duration_s <= 120:
        assert sum(w.duration_s for w in windows) == pytest.approx(duration_s)
    if duration_s > 15:
        assert all(6 < w.duration_s < 15 for w in windows)
