"""The MU-LLaMA captioner over a tiny random network and real sound files."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from musiscene import weights
from musiscene.captions._mu_llama import questions
from musiscene.captions._mu_llama.captioner import MuLlamaCaptioner
from musiscene.captions._mu_llama.guards import trouble
from musiscene.captions.mu_llama import SPEC
from musiscene.errors import (
    BackendError,
    BackendUnavailableError,
    ConfigError,
    MediaError,
    MissingStreamError,
    RequestError,
    Stopped,
)
from musiscene.media import probe
from musiscene.networks.mu_llama.tiny import random_tensors, write_tiny
from musiscene.registry import Pool, discover
from musiscene.types import Caption, CaptionKind, CaptionRequest, Clip, Job

BOTH = frozenset({CaptionKind.MUSIC, CaptionKind.MSI})


@pytest.fixture(scope="module", autouse=True)
def _one_thread(one_torch_thread: None) -> None:
    """All tests here."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny network on disk."""
    return write_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def options(files: dict[str, Path], tmp_path: Path) -> dict[str, Any]:
    """How the captioner is set up here."""
    return {**files, "weights_dir": tmp_path / "weights", "cache_dir": tmp_path / "heard", "max_new": 24}


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    """Two seconds of a stereo chord."""
    return tone(tmp_path / "chord.wav", 2.0)


def tone(path: Path, seconds: float, level: float = 0.2) -> Clip:
    """A stereo chord as a file."""
    time = np.arange(int(seconds * 44_100)) / 44_100
    left, right = np.sin(2 * np.pi * 220 * time), np.sin(2 * np.pi * 277 * time)
    soundfile.write(path, level * np.stack([left, right], axis=1), 44_100)
    return probe(path)


def described(captioner: MuLlamaCaptioner, clip: Clip, **request: Any) -> dict[CaptionKind, Caption]:
    """All captions of a clip."""
    asked = CaptionRequest(request.pop("kinds", BOTH), music=clip, **request)
    return {caption.kind: caption for caption in captioner.describe(asked, Job())}


def test_it_is_found_and_imports_nothing_heavy() -> None:
    """Listing the backends, and asking whether it can run, costs no torch."""
    assert SPEC in discover("captions")
    code = (
        "import sys; from musiscene.registry import discover; "
        "[spec.why_unavailable() for spec in discover('captions')]; "
        "print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_weights_it_says_what_to_do(tmp_path: Path) -> None:
    """Every missing part is named with its next step, and loading is refused with the same words."""
    reason = SPEC.why_unavailable({"weights_dir": tmp_path})
    assert reason is not None
    for part in ("weights download mu-llama", "weights download mert-v1-330m", "llama-2-7b-chat-hf", "Ask for access"):
        assert part in reason
    with pytest.raises(BackendUnavailableError, match="mu-llama needs weights"):
        Pool(options={"mu-llama": {"weights_dir": tmp_path}}).captioner(SPEC)


def test_weights_that_were_set_up_are_found_by_name(files: dict[str, Path], tmp_path: Path, clip: Clip) -> None:
    """What `weights use` took is enough: no option names a path."""
    folder = tmp_path / "weights"
    for name, path in (("mu-llama", "adapter"), ("llama-2-7b-chat", "base"), ("mert-v1-330m", "mert")):
        weights.use(name, files[path], folder)
    options = {"weights_dir": folder, "cache_dir": tmp_path / "heard", "max_new": 12}
    assert SPEC.why_unavailable(options) is None
    captioner = Pool(options={"mu-llama": options}).captioner(SPEC)
    assert [c.kind for c in captioner.describe(CaptionRequest(BOTH, music=clip), Job())]


def test_converted_weights_say_the_same(files: dict[str, Path], tmp_path: Path, clip: Clip) -> None:
    """After `weights convert` the merged model is taken, and writes the same captions."""
    folder = tmp_path / "weights"
    for name, path in (("mu-llama", "adapter"), ("llama-2-7b-chat", "base"), ("mert-v1-330m", "mert")):
        weights.use(name, files[path], folder)
    options = {"weights_dir": folder, "cache_dir": tmp_path / "heard", "max_new": 12}
    before = described(SPEC.load(options), clip)
    weights.convert("mu-llama", folder=folder, dtype="float32")
    captioner = SPEC.load(options)
    assert captioner.loaded.weights == "mu-llama-merged"
    after = described(captioner, clip)
    assert {k: c.text for k, c in after.items()} == {k: c.text for k, c in before.items()}


def test_both_captions_come_with_their_questions_and_evidence(options: dict[str, Any], clip: Clip) -> None:
    """Music and scene, each with the authors' question, what was asked aside, and how it was made."""
    captions = described(SPEC.load(options), clip, seed=3)
    music, scene = captions[CaptionKind.MUSIC], captions[CaptionKind.MSI]
    assert music.prompt == questions.DESCRIBE
    assert scene.prompt == questions.SCENE
    assert music.text
    assert scene.text
    assert music.backend == scene.backend == "mu-llama"
    assert music.evidence["listened_s"] == pytest.approx(2.0)
    assert {"tokens", "weights", "device", "precision", "seed"} <= music.evidence.keys()
    assert "zero-shot" in scene.evidence["imagined_by"]
    for answer in music.evidence["answers"]:
        assert answer["question"] in {question.strip() for question in questions.ASIDE}


def test_the_seed_decides_and_company_does_not(options: dict[str, Any], clip: Clip) -> None:
    """The same seed gives the same caption, whether the other one is asked for or not; another seed another."""
    captioner = SPEC.load(options)
    first, again = described(captioner, clip, seed=1), described(captioner, clip, seed=1)
    assert {k: c.text for k, c in first.items()} == {k: c.text for k, c in again.items()}
    alone = described(captioner, clip, seed=1, kinds=frozenset({CaptionKind.MSI}))
    assert alone[CaptionKind.MSI].text == first[CaptionKind.MSI].text
    assert described(captioner, clip, seed=2)[CaptionKind.MUSIC].text != first[CaptionKind.MUSIC].text


@pytest.mark.parametrize("part", ["both", "music", "tuning"])
def test_a_musiscene_adapter_imagines_the_scene(
    options: dict[str, Any], files: dict[str, Path], clip: Clip, tmp_path: Path, part: str
) -> None:
    """With an adapter the scene is its own, the music caption stays MU-LLaMA's, and the evidence says so."""
    other, _ = random_tensors(seed=9)
    listens = {n for n in other if n.startswith(("mu_mert", "prefix")) or n.endswith(".gate")}
    kept = {"both": set(other), "music": listens, "tuning": set(other) - listens}[part]
    save_file({name: other[name] for name in kept}, tmp_path / "scene.safetensors")
    plain = described(SPEC.load(options), clip)
    captions = described(SPEC.load({**options, "musiscene": tmp_path / "scene.safetensors"}), clip)
    assert captions[CaptionKind.MSI].evidence["imagined_by"] == "a MusiScene adapter"
    assert captions[CaptionKind.MUSIC].text == plain[CaptionKind.MUSIC].text
    assert captions[CaptionKind.MSI].text != plain[CaptionKind.MSI].text
    if part == "both":  # as if that network had been loaded by itself
        own = described(SPEC.load({**options, "adapter": tmp_path / "scene.safetensors"}), clip)
        assert captions[CaptionKind.MSI].text == own[CaptionKind.MSI].text


def test_a_persons_question_is_answered_piece_by_piece(options: dict[str, Any], clip: Clip) -> None:
    """Pieces add up to the same answer each time; the answer depends on seed and music."""
    captioner = SPEC.load(options)
    pieces = list(captioner.ask(clip, "What instruments do you hear?", seed=4))
    assert len(pieces) > 1
    assert "".join(pieces) == "".join(captioner.ask(clip, "What instruments do you hear?", seed=4))
    assert "".join(pieces) != "".join(captioner.ask(clip, "What instruments do you hear?", seed=5))


def test_questions_wait_for_each_other(options: dict[str, Any], clip: Clip) -> None:
    """While one answer is written nothing else is, as memory is that of one; who waits can stop, or gets a turn."""
    captioner = SPEC.load(options)
    first = captioner.ask(clip, "What is the tempo?")
    begun = next(first)
    stop, ended = threading.Event(), list[object]()

    def ask() -> None:
        try:
            ended.append(next(captioner.ask(clip, "Who plays?", job=Job(stop=stop))))
        except Stopped as error:
            ended.append(error)

    waiting = threading.Thread(target=ask)
    waiting.start()
    waiting.join(0.3)
    stop.set()
    waiting.join()
    assert isinstance(ended[0], Stopped)
    first.close()
    assert next(captioner.ask(clip, "What is the tempo?")) == begun


@pytest.mark.parametrize("question", ["", "   ", "x" * 2000])
def test_a_question_that_cannot_be_asked_is_refused(options: dict[str, Any], clip: Clip, question: str) -> None:
    """Nothing, or far too much, gives a sentence."""
    with pytest.raises(RequestError):
        next(SPEC.load(options).ask(clip, question))


def test_the_same_sound_is_listened_to_once(options: dict[str, Any], clip: Clip, tmp_path: Path) -> None:
    """Under another file name the features are remembered, and the caption is the same; a damaged file is redone."""
    captioner = SPEC.load(options)
    first = captioner.hear(clip, Job())
    copy = tmp_path / "copy.wav"
    copy.write_bytes(clip.path.read_bytes())
    second = captioner.hear(probe(copy), Job())
    assert (first.cached, second.cached) == (False, True)
    assert torch.equal(first.pooled, second.pooled)
    kept = list((tmp_path / "heard").glob("*.npy"))
    assert len(kept) == 1
    kept[0].write_bytes(b"broken")
    assert not captioner.hear(clip, Job()).cached
    assert captioner.hear(clip, Job()).cached


@pytest.mark.slow(seconds=2)
def test_the_whole_track_is_another_way_of_listening(options: dict[str, Any], tmp_path: Path) -> None:
    """By default only the first minute counts; features of the two ways are kept apart."""
    time = np.arange(70 * 8000) / 8000
    sound = np.where(time < 60, np.sin(2 * np.pi * 220 * time), np.sign(np.sin(2 * np.pi * 90 * time)))
    soundfile.write(tmp_path / "long.wav", 0.2 * sound, 8000)
    soundfile.write(tmp_path / "short.wav", 0.2 * sound[: 60 * 8000], 8000)
    captioner = SPEC.load(options)
    whole = SPEC.load({**options, "whole_track": True})
    heard, short = (
        captioner.hear(probe(tmp_path / "long.wav"), Job()),
        captioner.hear(probe(tmp_path / "short.wav"), Job()),
    )
    assert heard.listened_s == 60.0
    torch.testing.assert_close(heard.pooled, short.pooled, atol=1e-4, rtol=1e-4)
    everything = whole.hear(probe(tmp_path / "long.wav"), Job())
    assert everything.listened_s == pytest.approx(70.0)
    assert not torch.allclose(everything.pooled, heard.pooled, atol=1e-3)


def test_what_has_no_sound_is_said(options: dict[str, Any], clip: Clip, tmp_path: Path) -> None:
    """No track, silence, and a blink of sound each get their sentence."""
    captioner = SPEC.load(options)
    with pytest.raises(MissingStreamError, match="no sound"):
        described(captioner, None)  # type: ignore[arg-type]
    with pytest.raises(MissingStreamError, match="silent"):
        described(captioner, tone(tmp_path / "silent.wav", 1.0, level=0.0))
    with pytest.raises(MediaError, match="at least"):
        described(captioner, tone(tmp_path / "blink.wav", 0.02))


def test_it_stops_while_it_writes(options: dict[str, Any], clip: Clip) -> None:
    """A stop is noticed within a token, in describing and in answering."""
    captioner = SPEC.load({**options, "max_new": 4000})
    for talk in ("describe", "ask"):
        stop = threading.Event()

        def report(share: float, note: str, stop: threading.Event = stop) -> None:
            if "words" in note:
                stop.set()

        job = Job(report, stop)
        with pytest.raises(Stopped):
            if talk == "describe":
                list(captioner.describe(CaptionRequest(BOTH, music=clip), job))
            else:
                list(captioner.ask(clip, "What is this?", job=job))


def test_progress_never_goes_back(options: dict[str, Any], clip: Clip) -> None:
    """Reading, listening and writing fill the bar in this order."""
    seen: list[float] = []
    captioner = SPEC.load(options)
    list(captioner.ask(clip, "What is this?", job=Job(lambda share, note: seen.append(share))))
    assert seen == sorted(seen)
    assert len(seen) > 5


class Parrot:
    """A tokenizer that makes every answer what a test wants it to be; prompts stay real."""

    def __init__(self, tokenizer: Any, answers: list[str]) -> None:
        self._tokenizer, self._answers = tokenizer, answers

    def prompt(self, question: str) -> list[int]:
        """The real prompt."""
        ids: list[int] = self._tokenizer.prompt(question)
        return ids

    def decode(self, tokens: list[int]) -> str:
        """The next prepared answer."""
        return self._answers.pop(0)


def with_answers(captioner: MuLlamaCaptioner, answers: list[str]) -> MuLlamaCaptioner:
    """The captioner, saying what a test wants."""
    from dataclasses import replace

    tokenizer: Any = Parrot(captioner.loaded.tokenizer, answers)
    return MuLlamaCaptioner(captioner.spec, replace(captioner.loaded, tokenizer=tokenizer), captioner.options)


def test_a_bad_answer_is_tried_again_and_then_said(options: dict[str, Any], clip: Clip) -> None:
    """A good second answer is taken; a bad one is kept as far as it is usable, with a warning; nothing is an error."""
    captioner = SPEC.load({**options, "max_new": 4})
    scene = frozenset({CaptionKind.MSI})
    loop = "A beach at night. A beach at night. A beach at night."
    good = with_answers(captioner, [loop, "A walk on a beach at night."])
    caption = described(good, clip, kinds=scene)[CaptionKind.MSI]
    assert (caption.text, caption.evidence["retried"]) == ("A walk on a beach at night.", 1)
    assert "warning" not in caption.evidence

    caption = described(with_answers(captioner, [loop, loop]), clip, kinds=scene)[CaptionKind.MSI]
    assert caption.text == "A beach at night."
    assert "repeats itself" in caption.evidence["warning"]
    assert trouble(caption.text, questions.SCENE) == ""

    with pytest.raises(BackendError, match="is empty, 2 times"):
        described(with_answers(captioner, ["", " \n"]), clip, kinds=scene)


def test_one_bad_answer_aside_does_not_hold_the_caption_back(options: dict[str, Any], clip: Clip) -> None:
    """What was asked aside and went wrong twice is left out; the caption itself comes."""
    captioner = SPEC.load({**options, "max_new": 4})
    answers = ["Calm piano music.", "", "It is sad.", ""]  # three in the first batch, the bad one again
    caption = described(with_answers(captioner, answers), clip, kinds=frozenset({CaptionKind.MUSIC}))[CaptionKind.MUSIC]
    assert caption.text == "Calm piano music."
    assert [entry["answer"] for entry in caption.evidence["answers"]] == ["It is sad."]


def test_too_little_memory_is_refused_in_words(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The need is computed before anything is read, and set beside what is free, with what would take less."""
    monkeypatch.setattr("musiscene.captions._mu_llama.loading.memory_free", lambda device: 1e6)
    with pytest.raises(BackendUnavailableError, match=r"needs about .* GB in float32, and 0\.0 GB are free.* to int8"):
        SPEC.load({**options, "precision": "float32"})
    with pytest.raises(BackendUnavailableError, match=r"needs about .* GB in 8 bits.* in this machine's memory\. The"):
        SPEC.load(options)  # on its own it tries 8 bits where more does not fit


def test_a_processor_takes_8_bits_where_more_does_not_fit(
    options: dict[str, Any], clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless a precision was asked for; the evidence says what was taken."""
    from musiscene.networks.mu_llama.memory import memory_need
    from musiscene.networks.mu_llama.tiny import TINY

    room = memory_need(TINY, torch.float32, bits=8, device="cpu").total + 1
    monkeypatch.setattr("musiscene.captions._mu_llama.loading.memory_free", lambda device: room)
    captioner = SPEC.load(options)
    found = described(captioner, clip, kinds=frozenset({CaptionKind.MUSIC}))
    assert found[CaptionKind.MUSIC].evidence["precision"] == "8 bit"


@pytest.mark.parametrize(
    ("chosen", "said"), [({"precision": "int8"}, "8 bit"), ({"precision": "bfloat16"}, "bfloat16")]
)
def test_narrow_matrices_answer_on_a_processor(
    options: dict[str, Any], files: dict[str, Path], clip: Clip, chosen: dict[str, Any], said: str
) -> None:
    """In 8 bits (without any package more) and in bfloat16: captions and scenes of an adapter come, and say how."""
    from musiscene.networks.narrow_linear import NarrowLinear

    captioner = SPEC.load({**options, **chosen, "musiscene": files["adapter"]})
    found = described(captioner, clip)
    assert {caption.evidence["precision"] for caption in found.values()} == {said}
    narrow = [module for module in captioner.loaded.decoder.modules() if isinstance(module, NarrowLinear)]
    assert len(narrow) == 4 * captioner.loaded.checkpoint.sizes.layers + 1
    assert "".join(captioner.ask(clip, "What is it?", seed=3))


def test_a_mert_that_does_not_fit_is_named(options: dict[str, Any], tmp_path: Path) -> None:
    """Another MERT than the one it was trained with is refused with both sizes."""
    from dataclasses import replace

    from musiscene.networks.mu_llama.tiny import TINY, write_tiny_mert

    other = write_tiny_mert(tmp_path / "other", replace(TINY, mert_states=6))
    with pytest.raises(BackendUnavailableError, match="gives 6 states of 16 values"):
        SPEC.load({**options, "mert": other})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"colour": "red"}, "no option colour"),
        ({"precision": "int3"}, "precision must be"),
        ({"bits": 5}, "bits must be"),
        ({"precision": "int8", "bits": 4}, "contradict"),
        ({"temperature": -1.0}, "temperature"),
        ({"knn_weight": 0.2}, "knn_weight needs knn"),
        ({"device": "toaster"}, "device must be"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], wrong: dict[str, Any], message: str) -> None:
    """Each gives one sentence that names it."""
    with pytest.raises(ConfigError, match=message):
        SPEC.load({**options, **wrong})


def test_a_path_that_is_not_there_is_said_before_loading(options: dict[str, Any], tmp_path: Path) -> None:
    """A configured path that does not exist makes the backend unavailable, with the path."""
    reason = SPEC.why_unavailable({**options, "mert": tmp_path / "nowhere"})
    assert reason is not None
    assert "nowhere" in reason


def test_a_clip_is_exported_as_a_plain_llama(options: dict[str, Any], clip: Clip, tmp_path: Path) -> None:
    """The folder holds a Llama, its tokenizer and the prompt; greedy, it answers as the captioner does."""
    from transformers import LlamaForCausalLM

    from musiscene.networks.mu_llama.tokenizer import load_tokenizer

    captioner = SPEC.load({**options, "temperature": 0.0, "max_new": 12})
    folder = captioner.export(clip, tmp_path / "export")
    tokenizer = load_tokenizer(folder)
    template = (folder / "prompt.txt").read_text()
    ids = [1, *tokenizer.encode(template.format(question="What is it?"))]
    model = LlamaForCausalLM.from_pretrained(folder)
    written = model.generate(
        torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), max_new_tokens=12, do_sample=False, pad_token_id=2
    )[0, len(ids) :]
    answer = tokenizer.decode(written.tolist())
    assert answer.strip().startswith("".join(captioner.ask(clip, "What is it?")).strip())


def test_blending_with_neighbours_changes_what_is_heard(options: dict[str, Any], clip: Clip, tmp_path: Path) -> None:
    """The original's kNN option works with any file of vectors, without faiss."""
    np.save(tmp_path / "knn.npy", np.random.default_rng(0).standard_normal((40, 16)).astype(np.float32))
    blended = {**options, "knn": tmp_path / "knn.npy", "knn_weight": 0.5, "knn_size": 5}
    plain, other = SPEC.load(options), SPEC.load(blended)
    heard = plain.hear(clip, Job())
    assert not torch.allclose(plain._terms(CaptionKind.MUSIC, heard), other._terms(CaptionKind.MUSIC, heard), atol=1e-3)
