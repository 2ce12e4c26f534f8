"""The SwinBERT backend from a media file to a caption, with a tiny random checkpoint in the published layout."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from musiscene import media, weights
from musiscene.captions import swinbert as backend
from musiscene.errors import BackendUnavailableError, ConfigError, Stopped
from musiscene.networks.swinbert import BertSizes, SwinBert, SwinBertConfig, frame_indices, prepare
from musiscene.networks.swinbert.checkpoint import published_shapes
from musiscene.networks.video_swin import VideoSwinConfig
from musiscene.registry import Captioner, Pool, find_captioner
from musiscene.types import Caption, CaptionKind, CaptionRequest, Clip, Job

VIDEO = CaptionKind.VIDEO
CONFIG = SwinBertConfig(
    swin=VideoSwinConfig(embed_dim=8, depths=(2, 2, 2, 2), num_heads=(1, 1, 2, 2), window_size=(8, 2, 2)),
    bert=BertSizes(64, 2, 2, 96, 40, 160),
    img_feature_dim=24,
    img_res=64,
    max_gen_length=8,
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread(one_torch_thread: None) -> None:
    """All tests here."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the authors' zip unpacks to, with a converted configuration beside it."""
    folder = tmp_path_factory.mktemp("swinbert")
    (folder / "best-checkpoint").mkdir()
    draw = torch.Generator().manual_seed(4)
    with torch.device("meta"):
        shapes = published_shapes(SwinBert(CONFIG))
    tensors = {name: torch.randn(shape, generator=draw) * 0.3 for name, shape in shapes.items()}
    torch.save(tensors, folder / "best-checkpoint" / "model.bin")
    (folder / "config.json").write_text(json.dumps(CONFIG.to_dict()))
    pieces = [f"word{i}" for i in range(CONFIG.bert.vocab_size)]
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n")
    return folder


def make_clip(path: Path, seconds: float, fps: int = 8) -> Clip:
    """A video whose colour changes with time, with B-frames where the encoder makes them."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for index in range(round(seconds * fps)):
            image = np.full((64, 96, 3), (index * 5 % 256, 128, 255 - index * 3 % 256), np.uint8)
            image[:, : index % 96] = 30
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode())
    return media.probe(path)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return make_clip(tmp_path_factory.mktemp("clips") / "short.mp4", 9.0)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return make_clip(tmp_path_factory.mktemp("clips") / "long.mp4", 31.0)


def captioner(checkpoint: Path, **options: object) -> Captioner:
    pool = Pool(options={"swinbert": {"weights": checkpoint, "device": "cpu", **options}})
    return pool.captioner(backend.SPEC)


def describe(captioner: Captioner, clip: Clip, job: Job | None = None) -> Caption:
    captions = list(captioner.describe(CaptionRequest(frozenset({VIDEO}), video=clip), job or Job()))
    assert len(captions) == 1
    return captions[0]


def test_ten_seconds_are_one_window(checkpoint: Path, short: Clip) -> None:
    """A clip of the paper's length gets one caption from all of it, with its confidence as evidence."""
    caption = describe(captioner(checkpoint), short)

    assert caption.kind is VIDEO
    assert caption.backend == "swinbert"
    assert caption.text[0].isupper() and caption.text.endswith(".")
    (window,) = caption.evidence["windows"]
    assert (window["start_s"], window["end_s"], window["text"]) == (0.0, 9.0, caption.text)
    assert 0 < window["confidence"] <= 1
    assert caption.evidence["frames_per_window"] == 32
    assert caption.evidence["agreement"] == 1.0
    json.dumps(caption.as_dict())


def test_a_long_clip_is_captioned_window_by_window(checkpoint: Path, long: Clip) -> None:
    """Windows of about ten seconds cover the clip; the caption of the whole is one of theirs."""
    caption = describe(captioner(checkpoint), long)
    windows = caption.evidence["windows"]

    assert [(w["start_s"], w["end_s"]) for w in windows] == [(0, 10.333), (10.333, 20.667), (20.667, 31.0)]
    assert caption.text in {window["text"] for window in windows}


def test_of_a_very_long_clip_some_windows_are_seen(checkpoint: Path, long: Clip) -> None:
    """No more windows than allowed are looked at, and the evidence says how many there were."""
    caption = describe(captioner(checkpoint, window_s=5, max_windows=2), long)

    assert (caption.evidence["windows_seen"], caption.evidence["windows_in_clip"]) == (2, 6)
    assert [(w["start_s"], w["end_s"]) for w in caption.evidence["windows"]] == [(5.25, 10.25), (20.75, 25.75)]


def test_the_same_frames_as_the_original_are_looked_at(checkpoint: Path, short: Clip) -> None:
    """Frames are chosen by the original's rule over all frames of the window, not by time."""
    loaded = captioner(checkpoint)
    assert isinstance(loaded, backend.SwinBertCaptioner)
    looked_at = loaded._read(short, backend.Window(0.0, short.duration_s), Job())
    decoded = [image for _, image in media.iter_frames(short)]
    expected = prepare([decoded[i] for i in frame_indices(len(decoded), 32)], 64)

    assert len(decoded) == 72
    assert torch.equal(looked_at, expected)


def test_the_same_caption_twice_and_from_two_threads(checkpoint: Path, short: Clip, long: Clip) -> None:
    """One loaded network serves several people at once, and each gets what they would get alone."""
    loaded = captioner(checkpoint)
    alone = [describe(loaded, clip).text for clip in (short, long)]
    together: dict[int, str] = {}

    def run(number: int) -> None:
        together[number] = describe(loaded, (short, long)[number]).text

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [together[0], together[1]] == alone


def test_progress_grows_and_a_stop_ends_the_work(checkpoint: Path, long: Clip) -> None:
    """Progress only grows, reaches the end, and setting stop ends the work at the next report."""
    shares: list[float] = []
    describe(captioner(checkpoint), long, Job(report=lambda share, note: shares.append(share)))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) > 30

    stop = threading.Event()
    seen: list[float] = []

    def report(share: float, note: str) -> None:
        seen.append(share)
        if share > 0.3:
            stop.set()

    with pytest.raises(Stopped):
        describe(captioner(checkpoint), long, Job(report=report, stop=stop))
    assert seen[-1] < 0.5


def test_beams_and_precision_are_options(checkpoint: Path, short: Clip) -> None:
    """Beam search and bfloat16 can be asked for; nonsense is refused with the value."""
    caption = describe(captioner(checkpoint, beams=3, precision="bfloat16"), short)

    assert caption.evidence["beams"] == 3
    assert caption.evidence["precision"] == "bfloat16"
    with pytest.raises(ConfigError, match="not 99"):
        captioner(checkpoint, beams=99)
    with pytest.raises(ConfigError, match="'int3' is no precision"):
        captioner(checkpoint, precision="int3")
    with pytest.raises(ConfigError, match="no device 'cuda:7'"):
        captioner(checkpoint, device="cuda:7")
    with pytest.raises(ConfigError, match="windows"):
        captioner(checkpoint, window_s="wide")


def test_without_weights_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are no weights the backend is listed as unavailable, with the reason and the next step."""
    monkeypatch.setenv("MUSISCENE_DATA_DIR", str(tmp_path))
    reason = find_captioner(VIDEO, "swinbert").why_unavailable()

    assert reason is not None
    assert "refused public access" in reason
    assert "musiscene weights use swinbert-vatex FOLDER" in reason
    with pytest.raises(BackendUnavailableError, match="weights use"):
        Pool().captioner(backend.SPEC)
    with pytest.raises(BackendUnavailableError, match="no SwinBERT weights at"):
        Pool(options={"swinbert": {"weights": tmp_path / "gone"}}).captioner(backend.SPEC)
    with pytest.raises(BackendUnavailableError, match="was not trained on 'coco'"):
        Pool(options={"swinbert": {"dataset": "coco"}}).captioner(backend.SPEC)


def test_named_and_converted_weights_are_found(
    checkpoint: Path, short: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights named with `weights use` are found, and once converted the converted ones are taken."""
    monkeypatch.setenv("MUSISCENE_DATA_DIR", str(tmp_path))
    weights.use("swinbert-msrvtt", checkpoint)
    assert backend.find_weights({}) == (checkpoint.resolve(), "msrvtt")
    before = describe(Pool().captioner(backend.SPEC), short)
    weights.convert("swinbert-msrvtt")
    place, name = backend.find_weights({"dataset": "msrvtt"})
    after = describe(Pool().captioner(backend.SPEC), short)

    assert (place / "model.safetensors").is_file()
    assert name == "msrvtt"
    assert after.text == before.text
    assert "msrvtt" in after.evidence["model"]


def test_listing_it_imports_nothing_heavy() -> None:
    """The backend's module and spec come without torch and transformers."""
    code = "import sys, musiscene.captions.swinbert as s; s.SPEC; print('torch' in sys.modules, 'av' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "False"]


def test_sizes_of_another_side(checkpoint: Path, short: Clip, tmp_path: Path) -> None:
    """A checkpoint for other frames and sides is looked at with its own numbers."""
    config = replace(CONFIG, max_num_frames=8, learn_mask_enabled=False)
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    (tmp_path / "vocab.txt").write_text((checkpoint / "vocab.txt").read_text())
    (tmp_path / "model.bin").write_bytes((checkpoint / "best-checkpoint" / "model.bin").read_bytes())

    assert describe(captioner(tmp_path), short).evidence["frames_per_window"] == 8
