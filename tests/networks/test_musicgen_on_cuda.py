"""MusicGen on a GPU as far as it can be proved without one: devices, types, waiting, kernels, recording of graphs."""

from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from musiscene.networks import capturing
from musiscene.networks.musicgen import capture
from musiscene.networks.musicgen.codec import CodecStream, settled
from musiscene.networks.musicgen.decoder import MusicgenDecoder
from musiscene.networks.musicgen.delay import DelayPattern
from musiscene.networks.musicgen.generate import _Loop, generate_codes
from musiscene.networks.musicgen.melody import prefix
from musiscene.networks.musicgen.random_model import SIZES, random_musicgen
from musiscene.networks.musicgen.sampling import Sampling
from tests.networks.cuda_on_paper import Kernels, cuda_on_paper, on_cuda

pytestmark = pytest.mark.slow

A_LAYER = 13
"""Kernels: norm, product, writing, attention, product that adds; norm, product, attention, product that adds; norm,
product, activation, product that adds."""

AROUND = 26
"""Kernels of a step outside of its layers: embedding, position, last norm, logits, guidance, drawing, writing."""


def kernels(patch: pytest.MonkeyPatch, layers: int, **kind: Any) -> Kernels:
    """Those of one step in the shapes that a graph records, in bfloat16, with guidance and sampling."""
    patch.setitem(SIZES["tiny"], "num_hidden_layers", layers)
    model = random_musicgen(**kind)
    with cuda_on_paper():
        loop = looping(on_cuda(model, torch.bfloat16), Sampling(top_k=20))
        loop.prepare(1)
        loop.begin(0)
        with Kernels() as counted:
            loop.advance_within(loop.length)
    return counted


def looping(model: Any, sampling: Sampling, rows: int = 3, known: int = 0) -> _Loop:
    decoder = MusicgenDecoder(model.decoder)
    pattern = DelayPattern(known + 20, decoder.codebooks, decoder.channels, decoder.pad)
    states = torch.empty(rows, 9, decoder.width, dtype=torch.bfloat16, device="cuda")
    mask = torch.ones(rows, 9, dtype=torch.int64, device="cuda")
    prompt = torch.zeros(rows, decoder.codebooks, known, dtype=torch.int64, device="cuda")
    before = None if decoder.looks_at_text else prefix(model, states, mask, None)
    return _Loop(decoder, states, mask, before, pattern, prompt, range(rows), sampling)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_layer_is_thirteen_kernels_and_nothing_is_copied(monkeypatch: pytest.MonkeyPatch, channels: int) -> None:
    """So many for each layer, few around them, and none that copies, joins or pads."""
    few, more = (kernels(monkeypatch, layers, channels=channels) for layers in (1, 2))

    assert more.total - few.total <= A_LAYER
    assert few.total - A_LAYER <= AROUND
    assert not {"clone", "copy_", "cat", "constant_pad_nd", "contiguous"} & set(more.by_name)


def test_a_melody_model_takes_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no second attention."""
    few, more = (kernels(monkeypatch, layers, melody=True) for layers in (1, 2))

    assert more.total - few.total <= A_LAYER - 4


@pytest.mark.parametrize(
    ("sampling", "melody", "known"),
    [
        (Sampling(temperature=0, guidance=1), False, 0),
        (Sampling(temperature=0.8, top_k=9, top_p=0.9), False, 7),
        (Sampling(top_k=9), True, 0),
        (Sampling(temperature=0, guidance=1), True, 7),
    ],
)
def test_no_step_mixes_devices_or_types_or_waits(sampling: Sampling, melody: bool, known: int) -> None:
    """The first, which reads what is known, one after it, one as it is recorded, and one with new noise."""
    model = random_musicgen(melody=melody)
    with cuda_on_paper():
        loop = looping(on_cuda(model, torch.bfloat16), sampling, known=known)
        loop.prepare(known + 1)
        loop.begin(known)
        loop.advance(known + 1)
        loop.advance_within(loop.length)
        loop.prepare(known + 1 + loop.at_once)

    assert loop.tokens.device.type == "cuda"
    assert loop.memory.past.dtype == torch.bfloat16


def test_sound_is_decoded_in_full_precision_where_the_codes_are() -> None:
    """Pieces of it, from all rows at once. The sizes of convolutions are numbers of the host, which fakes cannot be."""
    codec = settled(random_musicgen(channels=2).audio_encoder)
    for part in codec.modules():
        for name in ("stride", "kernel_size", "padding_total"):
            if isinstance(getattr(part, name, None), torch.Tensor):
                setattr(part, name, int(part._buffers.pop(name)))
                part._get_extra_padding_for_conv1d = lambda x: 0
    with cuda_on_paper():
        stream = CodecStream(on_cuda(codec, torch.float32), 2)
        codes = torch.zeros(3, 8, 60, dtype=torch.int64, device="cuda")
        pieces = [stream.push(codes), stream.push(codes, last=True)]

    assert all(piece.device.type == "cuda" and piece.dtype == torch.float32 for piece in pieces)
    assert sum(piece.shape[-1] for piece in pieces) == 120 * stream.samples_per_frame


class OnProcessor:
    """Stands in for `torch.cuda`: a graph notes what was to be recorded, and undoes it, since nothing runs then."""

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.recorded, self.replayed = [], 0
        self.loops: list[_Loop] = []
        self.reaches: list[int] = []

    def current_device(self) -> int:
        return 0

    def Stream(self, device: int) -> Any:  # noqa: N802 - as it is called there
        return self.current_stream()

    def current_stream(self) -> Any:
        return SimpleNamespace(wait_stream=lambda other: None)

    def graph_pool_handle(self) -> int:
        return 7

    def CUDAGraph(self) -> Any:  # noqa: N802 - as it is called there
        def replay() -> None:
            self.replayed += 1
            made.loop.advance_within(made.reach)

        made = SimpleNamespace(replay=replay)
        return made

    @contextmanager
    def stream(self, other: Any) -> Any:
        yield

    @contextmanager
    def graph(self, made: Any, *, pool: int, stream: Any, capture_error_mode: str) -> Any:
        assert (pool, capture_error_mode) == (7, "thread_local")
        if self.fails:
            raise torch.cuda.OutOfMemoryError("no room for a graph")
        (loop,) = self.loops
        changed = (loop.column, loop.tokens, loop.memory.past, loop.memory.unwritten)
        before = [tensor.clone() for tensor in changed]
        yield
        for tensor, value in zip(changed, before, strict=True):
            tensor.copy_(value)
        made.loop, made.reach = loop, self.reaches[-1]
        self.recorded.append(made.reach)


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("melody", [False, True])
def test_steps_that_are_recorded_write_what_eager_steps_write(
    monkeypatch: pytest.MonkeyPatch, melody: bool, fails: bool
) -> None:
    """No step is lost or made twice; a bucket of few steps is not recorded; a recording that fails is done without."""
    model = random_musicgen(melody=melody)
    decoder = MusicgenDecoder(model.decoder)
    states, mask = torch.randn(2, 5, 32), torch.ones(2, 5, dtype=torch.int64)
    before = prefix(model, states, mask, None) if melody else None
    there = OnProcessor(fails)
    for module in (capture, capturing):
        monkeypatch.setattr(module, "torch", SimpleNamespace(cuda=there))
    monkeypatch.setattr(capture, "BUCKET", 32)
    monkeypatch.setattr(capture, "side_stream", there.Stream)
    advance_within = _Loop.advance_within

    def noted(loop: _Loop, reach: int) -> None:
        there.loops[:] = [loop]
        there.reaches.append(reach)
        advance_within(loop, reach)

    monkeypatch.setattr(_Loop, "advance_within", noted)
    eager, graph = (
        generate_codes(decoder, states, mask, 60, seeds=[1, 2], prefix=before, capture=captured)
        for captured in (False, True)
    )

    assert torch.equal(eager, graph)
    assert there.recorded == ([] if fails else [64, 96] if melody else [32, 64])
    assert there.replayed == (0 if fails else 58 if melody else 60)
