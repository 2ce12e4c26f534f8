"""The `musicgen` backend with a tiny random MusicGen in the published layout."""

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from musiscene import api
from musiscene.errors import BackendUnavailableError, ConfigError, RequestError, Stopped
from musiscene.events import RenditionReady, SoundPart
from musiscene.media import probe, write_wav
from musiscene.networks.musicgen.random_model import random_musicgen, save_with_tokenizer
from musiscene.pipeline import Pipeline, ScoreOptions
from musiscene.registry import MusicGenerator, Pool
from musiscene.settings import Settings
from musiscene.soundtracks._musicgen import generator as generator_module
from musiscene.soundtracks._musicgen.windows import Window, text_at, windows
from musiscene.soundtracks.musicgen import SPEC
from musiscene.sources import open_sources
from musiscene.types import Caption, CaptionKind, CaptionSet, Clip, Job, ScoreRequest, Soundtrack


@pytest.fixture(scope="module", autouse=True)
def _one_thread(one_torch_thread: None) -> None:
    """All tests here."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_with_tokenizer(random_musicgen("tiny"), tmp_path_factory.mktemp("musicgen"))


@pytest.fixture(scope="module")
def generator(folder: Path) -> MusicGenerator:
    return Pool(options={"musicgen": {"model": folder}}).generator(SPEC)


def asked(text: str, duration_s: float = 1.0, seed: int = 1, **overrides: Any) -> ScoreRequest:
    return ScoreRequest(Caption(CaptionKind.VIDEO, text, "test"), duration_s, seed, overrides=overrides)


def made(generator: MusicGenerator, *requests: ScoreRequest, job: Job | None = None) -> list[Soundtrack]:
    return list(generator.generate(requests, job or Job()))


def test_every_request_gets_music_of_exactly_its_length(generator: MusicGenerator) -> None:
    """In order, whatever the mixture of lengths; not silence, and of its own for each text."""
    requests = [asked("calm", 0.7), asked("wild", 0.7), asked("long", 1.33)]
    tracks = made(generator, *requests)

    assert [track.caption.text for track in tracks] == ["calm", "wild", "long"]
    for track, request in zip(tracks, requests, strict=True):
        assert track.waveform.shape == (1, round(request.duration_s * 16000))
        assert track.waveform.dtype == np.float32
        assert np.abs(track.waveform).max() > 1e-3
    assert not np.array_equal(tracks[0].waveform, tracks[1].waveform)


def test_the_same_words_and_seed_are_the_same_music_in_any_batch(generator: MusicGenerator) -> None:
    """Alone or among others; another seed is other music."""
    (alone,) = made(generator, asked("rain", seed=5))
    among = made(generator, asked("a storm at sea", seed=9), asked("rain", seed=5))[1]
    (other,) = made(generator, asked("rain", seed=6))

    np.testing.assert_allclose(among.waveform, alone.waveform, atol=1e-5)
    assert not np.allclose(other.waveform, alone.waveform, atol=1e-3)


@pytest.mark.slow
def test_longer_than_a_window_goes_on_and_says_where(generator: MusicGenerator) -> None:
    """31 s are two windows with a seam at 30 s; 30 s are one."""
    (one, two) = made(generator, asked("x", 30.0), asked("x", 31.0))

    assert one.provenance["seams_s"] == []
    assert two.provenance["seams_s"] == [30.0]
    assert two.waveform.shape[-1] == 31 * 16000
    np.testing.assert_allclose(two.waveform[:, : 20 * 16000], one.waveform[:, : 20 * 16000], atol=1e-4)


def test_stop_ends_within_a_step_and_progress_reaches_the_end(generator: MusicGenerator) -> None:
    """Stopped after the third report; nothing is yielded."""
    stop, seen = threading.Event(), []

    def report(fraction: float, note: str) -> None:
        seen.append(fraction)
        if len(seen) == 3:
            stop.set()

    with pytest.raises(Stopped):
        made(generator, asked("x", 2.0), job=Job(report, stop))
    assert len(seen) == 3

    seen.clear()
    made(generator, asked("x", 0.5), job=Job(lambda fraction, note: seen.append(fraction)))
    assert seen == sorted(seen)
    assert seen[-1] >= 0.95


@pytest.mark.parametrize("kind", [MemoryError, RuntimeError])
def test_a_batch_that_does_not_fit_is_split(generator: Any, monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    """Out of memory with more than two rows: the same music, in smaller batches; said with the progress and kept."""
    requests = [asked(f"text {i}", seed=i) for i in range(4)]
    whole = made(generator, *requests)
    make, sizes, notes = generator._make, [], []

    def small_memory(batch: Any, job: Job) -> Any:
        sizes.append(len(batch.numbered))
        if len(batch.numbered) > 2:
            raise kind("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return make(batch, job)

    monkeypatch.setattr(generator, "_make", small_memory)
    split = made(generator, *requests, job=Job(lambda fraction, note: notes.append(note)))

    assert sizes == [4, 2, 2]
    assert "Not enough memory for 4 at once: going on with 2" in notes
    assert "2 at a time" in split[3].provenance["batch"]
    for a, b in zip(whole, split, strict=True):
        np.testing.assert_allclose(a.waveform, b.waveform, atol=1e-5)


@pytest.mark.slow(seconds=3)
def test_a_batch_that_breaks_off_tells_no_sound_twice(generator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of memory after two pieces: the halves go on telling where it ended."""
    pieces: dict[int, list[Any]] = {0: [], 1: []}
    push, calls = generator_module._Sounds.push, []

    def breaking(sounds: Any, codes: Any) -> None:
        push(sounds, codes)
        calls.append(len(sounds.pieces))
        if calls == [2, 2]:
            raise MemoryError

    monkeypatch.setattr(generator_module._Sounds, "push", breaking)
    job = Job(heard=lambda number, piece, rate: pieces[number].append(piece))
    tracks = made(generator, asked("a", 8.0), asked("b", 8.0), job=job)

    assert calls.count(1) >= 6
    for number, track in enumerate(tracks):
        whole = np.concatenate(pieces[number], axis=-1)
        np.testing.assert_allclose(whole[:, : 6 * 16000], track.waveform[:, : 6 * 16000], atol=1e-5)
        assert whole.shape == track.waveform.shape


def test_what_is_no_lack_of_memory_is_not_tried_again(generator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another error comes through as it is."""

    def broken(batch: Any, job: Job) -> Any:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(generator, "_make", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        made(generator, asked("a"), asked("b"))


def test_a_text_takes_over_where_its_section_begins(generator: MusicGenerator) -> None:
    """Until then the music is what it was without it, and it goes on without a break; the time is kept as a seam."""
    (plain,) = made(generator, asked("x", 3.0))
    (changed,) = made(generator, asked("x", 3.0, sections=[[1.5, "wild"]]))
    begin = int(1.4 * 16000)

    assert changed.provenance["sections"] == [[1.5, "wild"]]
    assert changed.provenance["seams_s"] == [1.5]
    np.testing.assert_allclose(changed.waveform[:, :begin], plain.waveform[:, :begin], atol=1e-4)
    assert not np.allclose(changed.waveform[:, begin + 3200 :], plain.waveform[:, begin + 3200 :], atol=1e-3)


@pytest.mark.parametrize("sections", [["calm"], [[-1, "calm"]], [[float("nan"), "calm"]], 7])
def test_sections_that_are_none_are_refused(generator: MusicGenerator, sections: Any) -> None:
    """In words, before anything is computed."""
    with pytest.raises(RequestError, match=r"[Ss]ection"):
        made(generator, asked("x", 0.5, sections=sections))


@pytest.mark.slow(seconds=2)
def test_the_sound_is_heard_while_the_rest_is_written(generator: MusicGenerator) -> None:
    """Pieces come before the music is finished, in order, and are what it is made of but for its end."""
    pieces: dict[int, list[np.ndarray[Any, Any]]] = {0: [], 1: []}
    fractions: list[float] = []
    at_first_piece: list[float] = []

    def heard(number: int, piece: Any, sample_rate: int) -> None:
        assert sample_rate == 16000
        pieces[number].append(piece)
        at_first_piece.append(fractions[-1])

    tracks = made(
        generator, asked("a", 12.0), asked("b", 12.0), job=Job(lambda f, note: fractions.append(f), heard=heard)
    )
    assert at_first_piece[0] < 0.25
    for number, track in enumerate(tracks):
        whole = np.concatenate(pieces[number], axis=-1)
        before_fade = 10 * 16000
        assert len(pieces[number]) >= 4
        np.testing.assert_array_equal(whole[:, :before_fade], track.waveform[:, :before_fade])


@pytest.mark.slow
def test_music_ends_in_a_fade_also_where_no_sample_is_cut(generator: MusicGenerator) -> None:
    """At 30 s exactly: quieter in the last second than before the fade, and silent in the last sample."""
    (track,) = made(generator, asked("x", 30.0))
    power = np.sqrt(np.square(track.waveform[0]).reshape(30, -1).mean(1))

    assert track.waveform.shape[-1] == 30 * 16000
    assert power[29] < 0.3 * power[20:26].mean()
    assert abs(track.waveform[0, -1]) < 1e-6


@pytest.mark.parametrize("duration_s", [0.0, 601.0, float("nan")])
def test_a_duration_out_of_range_is_refused(generator: MusicGenerator, duration_s: float) -> None:
    """Before anything is computed."""
    with pytest.raises(RequestError):
        made(generator, asked("x", duration_s))


def test_a_stereo_model_makes_stereo(tmp_path: Path) -> None:
    """Two channels that differ."""
    folder = save_with_tokenizer(random_musicgen("tiny", channels=2), tmp_path)
    (track,) = made(Pool(options={"musicgen": {"model": folder}}).generator(SPEC), asked("wide", 0.5))

    assert track.waveform.shape == (2, 8000)
    assert not np.allclose(*track.waveform)


def test_missing_and_broken_weights_are_said_in_words(tmp_path: Path, folder: Path) -> None:
    """Absent: the command that fetches them. Truncated, of another shape or kind, without its words: which folder."""
    absent = SPEC.why_unavailable({"weights_dir": tmp_path})
    assert absent and "musiscene weights download musicgen-small" in absent

    broken = tmp_path / "broken"
    broken.mkdir()
    for file in folder.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    (broken / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:5000])
    with pytest.raises(BackendUnavailableError, match="broken"):
        Pool(options={"musicgen": {"model": broken}}).generator(SPEC)

    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    state.pop("decoder.lm_heads.1.weight")
    save_file(state, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BackendUnavailableError, match=r"lm_heads\.1"):
        Pool(options={"musicgen": {"model": broken}}).generator(SPEC)

    (broken / "tokenizer.json").unlink()
    with pytest.raises(BackendUnavailableError, match="no tokenizer"):
        Pool(options={"musicgen": {"model": broken}}).generator(SPEC)
    for config, words in (('{"model_type": "bert"}', "'bert', not a MusicGen"), ("{", "cannot be read")):
        (broken / "config.json").write_text(config, encoding="utf-8")
        with pytest.raises(BackendUnavailableError, match=words):
            Pool(options={"musicgen": {"model": broken}}).generator(SPEC)


def test_a_codec_of_no_numbers_is_said_in_words(tmp_path: Path) -> None:
    """Instead of a file of silence or noise."""
    model = random_musicgen("tiny")
    next(iter(model.audio_encoder.decoder.parameters())).data.fill_(float("nan"))
    folder = save_with_tokenizer(model, tmp_path)
    with pytest.raises(BackendUnavailableError, match="codec"):
        made(Pool(options={"musicgen": {"model": folder}}).generator(SPEC), asked("x", 0.3))


@pytest.mark.slow(seconds=2)
def test_a_start_that_the_config_leaves_out_is_taken_as_generate_takes_it(tmp_path: Path) -> None:
    """From the generation's config, not the decoder's, whose default lies beyond the codes; the same music."""
    model = random_musicgen("tiny")
    folder = save_with_tokenizer(model, tmp_path)
    (expected,) = made(Pool(options={"musicgen": {"model": folder}}).generator(SPEC), asked("x", 0.3))
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config["decoder"] |= {"pad_token_id": 2048, "bos_token_id": None}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    (got,) = made(Pool(options={"musicgen": {"model": folder}}).generator(SPEC), asked("x", 0.3))

    np.testing.assert_array_equal(got.waveform, expected.waveform)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"vocab_size": "many"}, "broken cannot be loaded"),
        ({"audio_channels": 3}, "broken cannot be loaded"),
        ({"num_hidden_layers": 1}, "they have 3 layers and config.json says 1"),
        ({"num_codebooks": 2}, "they have 4 codebooks and config.json says 2"),
    ],
)
def test_a_config_that_makes_no_sense_is_said_in_words(
    folder: Path, tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    """Whatever kind of error the library makes of it, and where it makes none of layers that it leaves out."""
    broken = shutil.copytree(folder, tmp_path / "broken")
    config = json.loads((broken / "config.json").read_text("utf-8"))
    config["decoder"] |= change
    (broken / "config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(BackendUnavailableError, match=sentence):
        Pool(options={"musicgen": {"model": broken}}).generator(SPEC)


def test_windows_cover_every_frame_once() -> None:
    """30 s exactly is one window; each later one goes on from 10 s of the music before it."""
    assert windows(1500, 50) == [Window(0, 0, 1500)]
    assert windows(1501, 50) == [Window(0, 0, 1500), Window(1000, 1500, 1501)]
    long = windows(30_000, 50)
    assert [w.known for w in long[1:]] == [w.end for w in long[:-1]]
    assert all(w.end - w.start <= 1500 for w in long)
    assert long[-1].end == 30_000


def test_the_text_of_a_moment_is_that_of_the_section_it_is_in() -> None:
    """Before the first section it is the caption's."""
    sections = [(20.0, "wild"), (10.0, "calm")]

    assert [text_at(sections, t, "caption") for t in (0, 10, 19, 20, 99)] == ["caption", "calm", "calm", "wild", "wild"]


def test_a_window_begins_where_a_section_does() -> None:
    """Each goes on from what is there, but from no more than 10 s of it."""
    assert windows(1000, 50, [4.0]) == [Window(0, 0, 200), Window(0, 200, 1000)]
    assert windows(1000, 50, [0.0, 15.0, 99.0]) == [Window(0, 0, 750), Window(250, 750, 1000)]
    assert [w.known for w in windows(2000, 50, [31.0])] == [0, 1500, 1550]


@pytest.fixture(scope="module")
def melody_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_with_tokenizer(random_musicgen("tiny", melody=True), tmp_path_factory.mktemp("musicgen-melody"))


@pytest.fixture(scope="module")
def melodic(melody_folder: Path) -> MusicGenerator:
    return Pool(options={"musicgen": {"model": melody_folder}}).generator(SPEC)


def tune(folder: Path, *pitches_hz: float) -> Clip:
    """A second of each pitch."""
    time_s = np.arange(16000) / 16000
    sound = np.concatenate([0.3 * np.sin(2 * np.pi * hz * time_s) for hz in pitches_hz]).astype(np.float32)
    path = folder / "tune.wav"
    write_wav(path, sound[None], 16000)
    return probe(path)


def test_a_melody_changes_the_music_and_is_named(melodic: MusicGenerator, tmp_path: Path) -> None:
    """With and without a tune, and with another one; rows keep to their own."""
    high, words = tune(tmp_path, 440, 494, 523), asked("calm", 1.0)
    with_tune = replace(words, melody=high)
    plain, tuned = made(melodic, words, with_tune)
    (alone,) = made(melodic, with_tune)
    (other,) = made(melodic, replace(words, melody=tune(tmp_path, 311, 370)))

    assert tuned.provenance["melody"] == "tune.wav"
    assert "melody" not in plain.provenance
    np.testing.assert_allclose(tuned.waveform, alone.waveform, atol=1e-5)
    assert not np.allclose(plain.waveform, tuned.waveform, atol=1e-3)
    assert not np.allclose(other.waveform, tuned.waveform, atol=1e-3)


def test_the_words_beside_it_do_not_change_a_row_of_a_melody_model(melodic: MusicGenerator) -> None:
    """Although the padding of a text is read there: a long neighbour leaves the music as it was."""
    (alone,) = made(melodic, asked("rain", seed=5))
    among = made(melodic, asked("a long storm " * 9, seed=9), asked("rain", seed=5))[1]

    np.testing.assert_allclose(among.waveform, alone.waveform, atol=1e-5)


def test_a_melody_that_cannot_be_followed_is_refused(
    generator: MusicGenerator, melodic: MusicGenerator, tmp_path: Path
) -> None:
    """By a model that has no ear for it, and where there is nothing to hear."""
    with pytest.raises(RequestError, match="musicgen-melody"):
        made(generator, replace(asked("x"), melody=tune(tmp_path, 440)))
    write_wav(tmp_path / "silence.wav", np.zeros((1, 16000), np.float32), 16000)
    with pytest.raises(RequestError, match=r"silence\.wav"):
        made(melodic, replace(asked("x"), melody=probe(tmp_path / "silence.wav")))


def test_eight_bits_are_an_opt_in_that_is_stated(folder: Path) -> None:
    """The music is another, of the same length; the provenance says what it was computed in."""
    coarse = Pool(options={"musicgen": {"model": folder, "precision": "int8"}}).generator(SPEC)
    (track,) = made(coarse, asked("calm"))

    assert track.provenance["precision"] == "int8"
    assert track.waveform.shape == (1, 16000)
    with pytest.raises(ConfigError, match="four"):
        Pool(options={"musicgen": {"model": folder, "precision": "four"}}).generator(SPEC)


def test_pieces_reach_whoever_watches_from_python(folder: Path, tmp_path: Path) -> None:
    """`score` tells them between the progress, in order; the licence is kept with the result."""
    parts: list[SoundPart] = []
    settings = Settings(data_dir=tmp_path, work_dir=tmp_path, profile="sketch", musicgen=str(folder))
    result = api.score(
        "calm",
        out=tmp_path / "calm.wav",
        duration_s=6.0,
        generator="musicgen",
        overrides={"sections": [[3.0, "wild"]]},
        settings=settings,
        watch=lambda event: parts.append(event) if isinstance(event, SoundPart) else None,
    )

    assert [part.start_s for part in parts] == sorted({part.start_s for part in parts})
    assert sum(part.waveform.shape[-1] for part in parts) == 6 * 16000
    assert result.as_dict()["provenance"]["license"] == "CC-BY-NC-4.0"
    assert result.provenance["seams_s"] == [3.0]


def test_pieces_reach_whoever_reads_the_pipelines_events(folder: Path, tmp_path: Path) -> None:
    """Each names its caption and its take; all come before the soundtrack that they are of."""
    settings = Settings(data_dir=tmp_path, work_dir=tmp_path, profile="sketch", musicgen=str(folder))
    pipeline = Pipeline(settings)
    sources = open_sources(tune(tmp_path, 440, 494))
    captions = CaptionSet([Caption(kind, f"{kind} words", "test") for kind in (CaptionKind.MUSIC, CaptionKind.MSI)])
    options = ScoreOptions(duration_s=3.0, takes=2)
    events = list(pipeline.score(sources, captions, tmp_path / "out", generator="musicgen", options=options))
    parts = [event for event in events if isinstance(event, SoundPart)]
    ready = [event.rendition for event in events if isinstance(event, RenditionReady)]

    wanted = {(kind, take) for kind in captions for take in (1, 2)}
    assert {(part.kind, part.take) for part in parts} == wanted == {(r.kind, r.take) for r in ready}
    first = next(index for index, event in enumerate(events) if isinstance(event, RenditionReady))
    assert any(isinstance(event, SoundPart) for event in events[:first])
    assert all(r.provenance["license"] == "CC-BY-NC-4.0" for r in ready)
    with pytest.raises(RequestError, match="sketch cannot follow"):
        list(pipeline.score(sources, captions, tmp_path / "no", options=ScoreOptions(melody=True)))
    with pytest.raises(RequestError, match="tune"):
        silent = replace(sources, sound=None, silence="it has no audio track")
        options = ScoreOptions(melody=True)
        list(pipeline.score(silent, captions, tmp_path / "no", generator="musicgen", options=options))
