"""MusicGen's decode loop against transformers' own, with random tiny models."""

from typing import Any

import pytest
import torch

from musiscene.errors import RequestError
from musiscene.networks.musicgen.codec import CHUNK_FRAMES, decode
from musiscene.networks.musicgen.decoder import MusicgenDecoder
from musiscene.networks.musicgen.delay import DelayPattern
from musiscene.networks.musicgen.generate import _EagerSteps, generate_codes
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
def test_parity_greedy_codes_are_those_of_transformers(
    rows: int, guidance: float, channels: int, text_width: int
) -> None:
    """Batches, prompts of unequal length, with and without guidance, mono and stereo, with and without projection."""
    model, inputs, frames = random_musicgen(channels=channels, text_width=text_width), texts(rows), 24
    expected = theirs(model, inputs, frames, guidance)
    got = generate_codes(
        MusicgenDecoder(model.decoder),
        encoded(model, inputs),
        inputs["attention_mask"],
        frames,
        seeds=range(rows),
        sampling=Sampling(temperature=0, guidance=guidance),
    )

    assert got.unique().numel() > 10  # a model that says one thing would agree with anything
    assert torch.equal(got, expected)


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


def test_the_captured_shape_gives_the_eager_result() -> None:
    """The step that a graph would capture looks at a fixed reach with a mask; its logits are the same."""
    model, inputs = random_musicgen(), texts(2)
    decoder, states, mask = MusicgenDecoder(model.decoder), encoded(model, inputs), inputs["attention_mask"]
    vectors = decoder.positions(16)
    tokens = torch.randint(0, 64, (4, 4, 16))
    with torch.inference_mode():
        exact, fixed = (decoder.memory(states, mask, 16, guidance=True) for _ in range(2))
        for position in range(10):
            new, at = tokens[:, :, position : position + 1], torch.tensor([position])
            eager = decoder.step(new, at, vectors, exact, position + 1, None)
            hidden = _EagerSteps(decoder, fixed, vectors, 16)._causal(at, 16)
            masked = decoder.step(new, at, vectors, fixed, 16, hidden)
            torch.testing.assert_close(masked, eager, rtol=1e-5, atol=1e-5)


def test_the_step_has_no_branch_that_depends_on_data() -> None:
    """`torch.export` takes it whole, which it refuses for code that reads values back."""
    model, inputs = random_musicgen(), texts(2)
    decoder = MusicgenDecoder(model.decoder)
    memory = decoder.memory(encoded(model, inputs), inputs["attention_mask"], 16, guidance=True)
    vectors = decoder.positions(16)

    class Step(torch.nn.Module):
        def forward(self, tokens: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
            hidden = _EagerSteps(decoder, memory, vectors, 16)._causal(at, 16)
            return decoder.step(tokens, at, vectors, memory, 16, hidden)

    with torch.no_grad():
        program = torch.export.export(Step(), (torch.zeros(4, 4, 1, dtype=torch.int64), torch.tensor([3])))

    assert program.graph_module is not None


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

    torch.testing.assert_close(decode(codec, codes, channels), whole, rtol=1e-4, atol=1e-5)
