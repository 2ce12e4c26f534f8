"""MusicGen's decode loop against transformers' own, with random tiny models."""

from typing import Any

import pytest
import torch
from transformers import EncodecConfig, EncodecModel

from musiscene.errors import BackendUnavailableError, RequestError
from musiscene.networks.musicgen import sampling as sampling_module
from musiscene.networks.musicgen.codec import CHUNK_FRAMES, CodecStream, decode, settled
from musiscene.networks.musicgen.decoder import MusicgenDecoder
from musiscene.networks.musicgen.delay import DelayPattern
from musiscene.networks.musicgen.generate import _Loop, generate_codes
from musiscene.networks.musicgen.melody import chroma, prefix
from musiscene.networks.musicgen.random_model import random_musicgen
from musiscene.networks.musicgen.sampling import Sampling, draw, gumbel

GREEDY = Sampling(temperature=0)


def texts(rows: int, seed: int = 1) -> dict[str, torch.Tensor]:
    """Token ids of unequal length, padded at the end."""
    torch.manual_seed(seed)
    ids = torch.randint(1, 99, (rows, 9))
    mask = torch.ones_like(ids)
    for row in range(1, rows):
        mask[row, 9 - row % 6 :] = 0
    return {"input_ids": ids * mask, "attention_mask": mask}


def encoded(model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.inference_mode():
        states = model.text_encoder(**inputs).last_hidden_state
        return model.enc_to_dec_proj(states) if hasattr(model, "enc_to_dec_proj") else states


def theirs(model: Any, inputs: dict[str, torch.Tensor], frames: int, guidance: float) -> torch.Tensor:
    """Codes that transformers' generate writes, caught where it hands them to the codec."""
    caught = []
    decode = model.audio_encoder.decode

    def catching(audio_codes: torch.Tensor, **kwargs: Any) -> Any:
        caught.append(audio_codes)
        return decode(audio_codes, **kwargs)

    model.audio_encoder.decode = catching
    try:
        model.generate(**inputs, do_sample=False, guidance_scale=guidance, max_new_tokens=frames + 3, use_cache=True)
    finally:
        model.audio_encoder.decode = decode
    if len(caught) == 2:  # stereo: left and right are decoded apart
        return torch.stack([caught[0][0], caught[1][0]], dim=2).flatten(1, 2)
    return caught[0][0]


@pytest.mark.parametrize(
    ("rows", "guidance", "channels", "text_width"),
    [(1, 3.0, 1, 24), (4, 3.0, 1, 24), (8, 3.0, 1, 24), (3, 1.0, 1, 24), (2, 3.0, 1, 32), (3, 3.0, 2, 24)],
)
@pytest.mark.parametrize("packed", [False, True])
def test_parity_greedy_codes_are_those_of_transformers(
    rows: int, guidance: float, channels: int, text_width: int, packed: bool
) -> None:
    """Batches, prompts of unequal length, with and without guidance, mono and stereo, with and without projection."""
    model, inputs, frames = random_musicgen(channels=channels, text_width=text_width), texts(rows), 24
    expected = theirs(model, inputs, frames, guidance)
    got = generate_codes(
        MusicgenDecoder(model.decoder, packed=packed),
        encoded(model, inputs),
        inputs["attention_mask"],
        frames,
        seeds=range(rows),
        sampling=Sampling(temperature=0, guidance=guidance),
    )

    assert got.unique().numel() > 10  # a model that says one thing would agree with anything
    assert torch.equal(got, expected)


@pytest.mark.parametrize("asked", [{"activation_function": "gelu_new"}, {"scale_embedding": True}])
def test_parity_what_a_config_can_ask_for_beside_sizes(asked: dict[str, Any]) -> None:
    """Any activation that transformers knows; `scale_embedding`, which it reads and does not use."""
    plain, inputs = random_musicgen(), texts(3)
    config = plain.config
    config.decoder.update(asked)
    model = type(plain)(config).eval()
    model.load_state_dict(plain.state_dict())
    model.generation_config = plain.generation_config
    got = generate_codes(
        MusicgenDecoder(model.decoder),
        encoded(model, inputs),
        inputs["attention_mask"],
        24,
        seeds=range(3),
        sampling=GREEDY,
    )

    assert torch.equal(got, theirs(model, inputs, 24, 3.0))


def test_weights_that_are_no_numbers_are_refused() -> None:
    """Before a code is drawn from them, wherever in the network they are; in words."""
    for broken in ("layers.1.fc1", "layer_norm"):
        model, inputs = random_musicgen(), texts(2)
        model.decoder.model.decoder.get_submodule(broken).weight.data[0] = torch.nan
        told: list[int] = []
        with pytest.raises(BackendUnavailableError, match="no numbers in float32"):
            generate_codes(
                MusicgenDecoder(model.decoder),
                encoded(model, inputs),
                inputs["attention_mask"],
                9,
                seeds=[1, 2],
                progress=lambda done, steps, told=told: told.append(done),
            )
        assert not told


def test_a_row_does_not_depend_on_what_else_is_in_the_batch() -> None:
    """The same text and seed: the same codes alone, among others, and at another place."""
    model, inputs = random_musicgen(), texts(4)
    decoder, states, mask = MusicgenDecoder(model.decoder), encoded(model, inputs), inputs["attention_mask"]
    together = generate_codes(decoder, states, mask, 30, seeds=[7, 8, 9, 10])
    words = int(mask[2].sum())
    alone = generate_codes(decoder, states[2:3, :words], mask[2:3, :words], 30, seeds=[9])
    turned = generate_codes(decoder, states.flip(0), mask.flip(0), 30, seeds=[10, 9, 8, 7])

    assert torch.equal(together[2:3], alone)
    assert torch.equal(together, turned.flip(0))
    assert not torch.equal(together, generate_codes(decoder, states, mask, 30, seeds=[1, 2, 3, 4]))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("known", [1, 2, 11])
def test_a_continuation_keeps_what_it_continues_and_goes_on_as_if_never_interrupted(channels: int, known: int) -> None:
    """Codes of the prompt come back as they were, and greedy codes after it are those of the unbroken run."""
    model, inputs = random_musicgen(channels=channels), texts(2)
    decoder, states, mask = MusicgenDecoder(model.decoder), encoded(model, inputs), inputs["attention_mask"]
    whole = generate_codes(decoder, states, mask, 26, seeds=[1, 2], sampling=GREEDY)
    again = generate_codes(decoder, states, mask, 26, seeds=[1, 2], sampling=GREEDY, prompt=whole[..., :known])

    assert torch.equal(again, whole)


def looping(model: Any, inputs: dict[str, torch.Tensor], frames: int, sampling: Sampling) -> _Loop:
    decoder = MusicgenDecoder(model.decoder)
    pattern = DelayPattern(frames, decoder.codebooks, decoder.channels, decoder.pad)
    rows = len(inputs["input_ids"])
    nothing = torch.zeros(rows, decoder.codebooks, 0, dtype=torch.int64)
    states, mask = encoded(model, inputs), inputs["attention_mask"]
    before = None if decoder.looks_at_text else prefix(model, states, mask, None)
    return _Loop(decoder, states, mask, before, pattern, nothing, range(rows), sampling)


@pytest.mark.parametrize("melody", [False, True])
def test_the_captured_shape_gives_the_eager_result(melody: bool) -> None:
    """The step that a graph captures looks at a fixed reach with a mask; what it remembers and draws is the same."""
    model, inputs = random_musicgen(melody=melody), texts(2)
    exact, fixed = (looping(model, inputs, 16, Sampling(top_k=20)) for _ in range(2))
    with torch.inference_mode():
        for column in range(12):
            for loop in (exact, fixed):
                loop.prepare(column + 1)
                if column == 0:
                    loop.begin(0)
            if column:
                exact.advance(column)
                fixed.advance_within(fixed.length)

    assert torch.equal(exact.tokens, fixed.tokens)
    assert torch.equal(exact.column, fixed.column)
    torch.testing.assert_close(fixed.memory.past, exact.memory.past, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_the_step_has_no_branch_that_depends_on_data() -> None:
    """`torch.export`, which refuses code that reads values back, takes it whole, sampling and writing included."""
    loop = looping(random_musicgen(), texts(2), 16, Sampling(top_k=20, top_p=0.9))
    with torch.no_grad():
        loop.prepare(1)
        loop.begin(0)

    class Step(torch.nn.Module):
        def forward(self, nothing: torch.Tensor) -> torch.Tensor:
            loop.advance_within(loop.length)
            return loop.tokens + nothing

    with torch.no_grad():
        program = torch.export.export(Step(), (torch.zeros(1, dtype=torch.int64),))

    assert sum(node.op == "call_function" for node in program.graph.nodes) > 100


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device to capture a graph on")
@pytest.mark.parametrize("melody", [False, True])
def test_the_graph_writes_what_the_eager_step_writes(melody: bool) -> None:
    """On CUDA: greedy and drawn codes over several buckets of the memory."""
    model, inputs = random_musicgen(melody=melody).cuda(), {name: ids.cuda() for name, ids in texts(3).items()}
    decoder, states, mask = MusicgenDecoder(model.decoder), encoded(model, inputs), inputs["attention_mask"]
    before = prefix(model, states, mask, None) if melody else None
    for sampling in (GREEDY, Sampling(top_k=20)):
        eager, graph = (
            generate_codes(
                decoder, states, mask, 600, seeds=[1, 2, 3], sampling=sampling, prefix=before, capture=capture
            )
            for capture in (False, True)
        )
        assert torch.equal(eager, graph)


@pytest.mark.parametrize(("rows", "guidance"), [(1, 3.0), (3, 3.0), (2, 1.0)])
@pytest.mark.parametrize("tune", [True, False])
def test_parity_greedy_codes_with_a_melody_are_those_of_transformers(rows: int, guidance: float, tune: bool) -> None:
    """Prompts of unequal length, with and without guidance, with and without a melody."""
    model, inputs, frames = random_musicgen(melody=True), texts(rows), 24
    heard = torch.nn.functional.one_hot(torch.randint(0, 12, (rows, 9)), 12).float() if tune else None
    expected = theirs(model, inputs | ({"input_features": heard} if tune else {}), frames, guidance)
    states, mask = encoded(model, inputs), inputs["attention_mask"]
    got = generate_codes(
        MusicgenDecoder(model.decoder),
        states,
        mask,
        frames,
        seeds=range(rows),
        sampling=Sampling(temperature=0, guidance=guidance),
        prefix=prefix(model, states, mask, heard),
    )

    assert got.unique().numel() > 10
    assert torch.equal(got, expected)


def test_chroma_names_the_note_that_is_played() -> None:
    """A rising scale is heard as its pitch classes; a sound shorter than a window is heard too."""
    rate = 32000
    notes = torch.arange(12)
    time = torch.arange(rate) / rate
    scale = torch.cat([torch.sin(2 * torch.pi * 440 * 2 ** ((note - 9) / 12) * time) for note in notes])
    heard = chroma(scale[None])[0]
    middle = ((notes + 0.5) * rate / 4096).round().long()

    assert heard.sum(-1).eq(1).all()
    assert heard.argmax(-1)[middle].tolist() == notes.tolist()  # class 0 is C
    assert chroma(scale[None, 9 * rate : 9 * rate + 5000]).argmax(-1)[0, 2] == 9


def test_a_melody_model_without_a_prefix_is_refused() -> None:
    """And so is a prefix for a model that cannot read one."""
    for melody in (True, False):
        model, inputs = random_musicgen(melody=melody), texts(1)
        states, mask = encoded(model, inputs), inputs["attention_mask"]
        before = None if melody else (states, states)
        with pytest.raises(RequestError, match="melody"):
            generate_codes(MusicgenDecoder(model.decoder), states, mask, 5, seeds=[0], prefix=before)


def test_weights_in_eight_bits_stay_close_and_keep_rows_apart() -> None:
    """Logits correlate with those of float32; a row is the same alone and among others, bit for bit."""
    model, inputs = random_musicgen(), texts(3)
    exact, coarse = MusicgenDecoder(model.decoder), MusicgenDecoder(model.decoder, int8=True)
    states, mask = encoded(model, inputs), inputs["attention_mask"]
    tokens, at = torch.randint(0, 64, (3, 4, 1)), torch.tensor([0])

    def logits(decoder: MusicgenDecoder, rows: slice) -> torch.Tensor:
        memory = decoder.memory(states[rows], mask[rows], 4, guidance=False)
        with torch.inference_mode():
            return decoder.step(tokens[rows], at, decoder.positions(4), memory, 1, masked=False)

    full, small = logits(exact, slice(3)), logits(coarse, slice(3))
    correlation = torch.corrcoef(torch.stack([full.flatten(), small.flatten()]))[0, 1]

    assert correlation > 0.99
    assert torch.equal(logits(coarse, slice(1, 2)), small[1:2])


def test_parity_drawn_codes_follow_the_distribution_that_transformers_draws_from() -> None:
    """Chi-square of 4,000 seeds against its scores of the first step: guidance, top-k and temperature included."""
    model, inputs, rows = random_musicgen(), texts(1), 4000
    made = model.generate(
        **inputs,
        do_sample=True,
        top_k=12,
        temperature=1.7,
        guidance_scale=3.0,
        max_new_tokens=5,
        output_scores=True,
        return_dict_in_generate=True,
    )
    probable = made.scores[0][0].double().softmax(-1)  # the first codebook; the others wait for their delay
    states, mask = encoded(model, inputs).expand(rows, -1, -1), inputs["attention_mask"].expand(rows, -1)
    sampling = Sampling(top_k=12, temperature=1.7)
    drawn = generate_codes(MusicgenDecoder(model.decoder), states, mask, 1, seeds=range(rows), sampling=sampling)
    counts = torch.bincount(drawn[:, 0, 0], minlength=64).double()
    allowed = probable > 0

    assert int(allowed.sum()) == 12
    assert counts[~allowed].sum() == 0
    expected = probable[allowed] * rows
    chi_square = float(((counts[allowed] - expected) ** 2 / expected).sum())
    assert chi_square < 31.3  # the 99.9 % point with 11 degrees of freedom


def test_draws_follow_the_softmax() -> None:
    """Chi-square of 40,000 seeds against the probabilities of one step."""
    torch.manual_seed(0)
    logits = torch.randn(1, 1, 24) * 1.5
    rows = 40_000
    drawn = draw(logits.expand(rows, 1, 24), Sampling(top_k=0), torch.arange(rows) * 7919, torch.tensor(5))
    counts = torch.bincount(drawn.flatten(), minlength=24).double()
    expected = logits.flatten().double().softmax(0) * rows
    chi_square = float(((counts - expected) ** 2 / expected).sum())

    assert chi_square < 49.7  # the 99.9 % point with 23 degrees of freedom


def test_noise_of_neighbouring_seeds_steps_and_codebooks_is_unrelated() -> None:
    """Correlations of 8,000 numbers stay within four standard errors of zero."""
    seeds = torch.arange(4)
    now, then = gumbel(seeds, torch.tensor(1), 4, 2000), gumbel(seeds, torch.tensor(2), 4, 2000)
    pairs = [(now[0], now[1]), (now[0], then[0]), (now[0].roll(1, 0), now[0]), (now[0].roll(1, 1), now[0])]

    for a, b in pairs:
        correlation = float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])
        assert abs(correlation) < 4 / 8000**0.5


@pytest.mark.parametrize("bits", [0, 2**32 - 1])
def test_noise_is_finite_at_both_ends(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The least and the greatest hash: infinite noise would draw a code whatever its probability."""
    monkeypatch.setattr(sampling_module, "_mixed", lambda a, b: torch.full_like(a + b, bits))
    noise = gumbel(torch.tensor([1]), torch.tensor(1), 2, 3)

    assert noise.isfinite().all()
    assert noise.abs().max() < 17


@pytest.mark.parametrize(("sampling", "allowed"), [(Sampling(top_k=3), 3), (Sampling(top_k=0, top_p=0.6), 2)])
def test_only_probable_codes_are_drawn(sampling: Sampling, allowed: int) -> None:
    """Top-k keeps k codes; top-p the fewest whose share reaches p."""
    logits = torch.tensor([0.5, 0.3, 0.1, 0.06, 0.04]).log().expand(500, 1, 5)
    drawn = draw(logits, sampling, torch.arange(500), torch.tensor(0))

    assert set(drawn.flatten().tolist()) == set(range(allowed))


def test_delay_pattern_and_back() -> None:
    """What is put into the pattern comes out of it, mono and stereo."""
    codes = torch.arange(2 * 8 * 5).view(2, 8, 5) % 60
    for channels in (1, 2):
        pattern = DelayPattern(5, 8, channels, pad=64)
        tokens, free = pattern.delayed(codes)
        assert torch.equal(pattern.codes(tokens), codes)
        assert not free.any()
        assert (tokens[:, :, 0] == 64).all()


def test_progress_counts_to_the_end_and_can_stop() -> None:
    """What it raises ends the loop within one step."""
    model, inputs = random_musicgen(), texts(1)
    decoder, states = MusicgenDecoder(model.decoder), encoded(model, inputs)
    seen: list[tuple[int, int]] = []
    generate_codes(decoder, states, inputs["attention_mask"], 5, seeds=[0], progress=lambda *p: seen.append(p))

    def stop(done: int, total: int) -> None:
        seen.append((done, total))
        raise KeyboardInterrupt

    assert seen == [(step, 8) for step in range(1, 9)]
    with pytest.raises(KeyboardInterrupt):
        generate_codes(decoder, states, inputs["attention_mask"], 5, seeds=[0], progress=stop)
    assert len(seen) == 9


@pytest.mark.parametrize("wrong", [{"temperature": -1}, {"top_k": -1}, {"top_p": 0.0}, {"guidance": 0.5}])
def test_sampling_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    """In words."""
    with pytest.raises(RequestError):
        Sampling(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("frames", [1, CHUNK_FRAMES, 2 * CHUNK_FRAMES + 7])
def test_decoding_in_chunks_is_decoding_at_once(frames: int, channels: int) -> None:
    """Whatever the number of chunks, no sample differs from transformers' own decoding."""
    codec = random_musicgen(channels=channels).audio_encoder
    codes = torch.randint(0, 64, (1, 4 * channels, frames))
    with torch.inference_mode():
        whole = torch.cat([codec.decode(codes[None, :, c::channels], [None]).audio_values for c in range(channels)], 1)

    torch.testing.assert_close(decode(settled(codec), codes, channels), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("pieces", [[1] * 60, [30, 100, 7, 400], [25, 25], [3, 900]])
def test_decoding_codes_as_they_come_is_decoding_at_once(pieces: list[int], channels: int) -> None:
    """However they are cut, the pieces of sound together are the sound of the whole; nothing waits for the end."""
    codec = random_musicgen(channels=channels).audio_encoder
    codes = torch.randint(0, 64, (2, 4 * channels, sum(pieces)))
    stream, sound = CodecStream(codec, channels), []
    for index, piece in enumerate(codes.split(pieces, dim=-1)):
        sound.append(stream.push(piece, last=index == len(pieces) - 1))

    torch.testing.assert_close(torch.cat(sound, -1), decode(codec, codes, channels), rtol=1e-4, atol=1e-5)
    assert sound[-2].shape[-1] > 0 or sum(pieces[:-1]) <= 16


@pytest.mark.parametrize(
    "kind",
    [
        {"use_causal_conv": True, "num_residual_layers": 3, "residual_kernel_size": 5, "trim_right_ratio": 0.5},
        {"norm_type": "time_group_norm"},
        {"audio_channels": 2, "dilation_growth_rate": 3, "num_residual_layers": 2, "kernel_size": 5},
    ],
)
def test_codecs_of_other_kinds_lose_no_sample_either(kind: dict[str, Any]) -> None:
    """Convolutions that see far, or back only, and norms over all of the time: as transformers decodes at once."""
    sizes = {"num_filters": 4, "hidden_size": 16, "codebook_dim": 16, "codebook_size": 64, "target_bandwidths": [48.1]}
    torch.manual_seed(1)
    codec = EncodecModel(EncodecConfig(sampling_rate=16000, upsampling_ratios=[2, 2, 2], **sizes, **kind)).eval()
    for name, table in codec.named_buffers():
        if name.endswith("codebook.embed"):
            table.normal_()
    codes = torch.randint(0, 64, (2, 4, 200))
    with torch.inference_mode():
        whole = codec.decode(codes[None], [None]).audio_values
    stream = CodecStream(settled(codec))
    sound = [stream.push(piece, last=index == 3) for index, piece in enumerate(codes.split(50, dim=-1))]

    torch.testing.assert_close(torch.cat(sound, -1), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("every", [1, 7, 100])
def test_codes_are_told_as_they_are_written(every: int) -> None:
    """All that is told, put together, is what is returned; the prompt is not told again."""
    model, inputs = random_musicgen(), texts(2)
    decoder, states, mask = MusicgenDecoder(model.decoder), encoded(model, inputs), inputs["attention_mask"]
    told: list[torch.Tensor] = []
    whole = generate_codes(decoder, states, mask, 30, seeds=[1, 2], written=told.append, written_every=every)
    assert torch.equal(torch.cat(told, -1), whole)

    told.clear()
    again = generate_codes(decoder, states, mask, 30, seeds=[1, 2], prompt=whole[..., :9], written=told.append)
    assert torch.equal(torch.cat(told, -1), again[..., 9:])
