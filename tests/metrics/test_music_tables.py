"""Music against music over real files: pairs, resumption, order, silence, short clips, stereo, any rate."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from musiscene.errors import BackendUnavailableError, RequestError, Stopped
from musiscene.metrics import fad, listeners, report
from musiscene.metrics.frechet import Gaussian
from musiscene.metrics.listening import Store, listen
from musiscene.metrics.music_tables import Background, MusicScores, Networks, evaluate_music
from musiscene.metrics.sound_files import Mono, Sound, list_sounds, pair_sounds, read_mono
from musiscene.networks import passt, vggish
from musiscene.types import Job


class SmallVggish(vggish.VggishNetwork):
    """Quick: a fixed random projection of the log-mel window in place of the convolutions."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        self.projection = torch.nn.Linear(96 * 64, 128)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.projection(inputs.flatten(1))


@pytest.fixture(scope="module")
def networks() -> Networks:
    torch.manual_seed(0)
    return Networks(
        vggish.Vggish(SmallVggish().eval(), source="made for this test"),
        passt.Passt(passt.PasstNetwork(passt.PasstConfig(32, 1, 2, 200)).eval(), source="made for this test"),
        missing={"The CLAP score": "Not in this test."},
    )


def music(seed: int, seconds: float, rate: int = 16_000, channels: int = 1) -> np.ndarray:
    """Notes with noise, `(samples, channels)`."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    notes = sum(np.sin(2 * np.pi * f * time) for f in rng.uniform(100, 2000, 3)) / 6
    wave = notes * (0.6 + 0.4 * np.sin(2 * np.pi * 2 * time)) + 0.02 * rng.standard_normal(time.size)
    return np.repeat(wave[:, None], channels, axis=1)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sets")
    for name, offset in (("generated", 0), ("reference", 100)):
        (root / name).mkdir()
        for i in range(6):
            soundfile.write(root / name / f"clip{i}.wav", music(i + offset, 2.0 + i % 3), 16_000)
    return root


def scores(sets: Path, networks: Networks, **options: object) -> MusicScores:
    return evaluate_music(
        "ours", list_sounds(sets / "generated"), Background(list_sounds(sets / "reference")), networks, **options
    )  # type: ignore[arg-type]


@pytest.mark.slow(seconds=2)
def test_a_set_against_itself(sets: Path, networks: Networks) -> None:
    """Equal sets are at no distance, and their divergence is none."""
    sounds = list_sounds(sets / "generated")
    for recipe in fad.RECIPES:
        found = evaluate_music("same", sounds, Background(sounds), networks, recipe=recipe)
        assert found.fad is not None
        assert found.fad.value == pytest.approx(0.0, abs=1e-6)
        assert found.kl["kl"].value == pytest.approx(0.0, abs=1e-3)


def test_result_says_how_it_was_made(sets: Path, networks: Networks) -> None:
    """Every value comes with recipe, checkpoint, n and interval; few windows are warned of; JSON has no nan."""
    found = scores(sets, networks)
    document = found.as_dict()
    assert document["fad"]["recipe"] == "paper"
    assert document["fad"]["n"] == document["fad"]["n_reference"] == 2 * (3 + 5 + 7)
    assert document["checkpoints"] == {"vggish": "made for this test", "passt": "made for this test"}
    assert (document["kl"]["model_s"], document["kl"]["kl"]["n"]) == (20, 6)
    assert any("full rank" in note for note in document["notes"])
    assert any("CLAP score is left out" in note for note in document["notes"])
    json.dumps(document, allow_nan=False)


@pytest.mark.slow
def test_recipes_differ(sets: Path, networks: Networks) -> None:
    """The three recipes give three values: their name belongs to a number."""
    values = {recipe: scores(sets, networks, recipe=recipe).fad.value for recipe in fad.RECIPES}  # type: ignore[union-attr]
    assert len({round(value, 6) for value in values.values()}) == 3
    with pytest.raises(RequestError, match="paper, relu, no-overlap"):
        scores(sets, networks, recipe="other")


def test_random_weights_give_no_score(sets: Path) -> None:
    """A network whose weights come from nowhere is refused before any file is read."""
    random = Networks(vggish.Vggish(SmallVggish().eval()))
    with pytest.raises(BackendUnavailableError, match="random weights"):
        scores(sets, random)


def test_a_second_run_hears_nothing_again(sets: Path, networks: Networks, tmp_path: Path) -> None:
    """What was heard is kept: the second run asks the networks nothing and gives the same numbers."""
    first = scores(sets, networks, store=tmp_path)

    class Deaf(SmallVggish):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            raise AssertionError("was asked again")

    again = Networks(vggish.Vggish(Deaf().eval(), source="made for this test"), networks.passt)
    second = scores(sets, again, store=tmp_path)
    assert second.fad == first.fad
    assert second.kl["kl"].value == first.kl["kl"].value


def test_a_stopped_run_goes_on(sets: Path, networks: Networks, tmp_path: Path) -> None:
    """A stop is noticed between clips; what was heard until then is in the store."""
    stop = threading.Event()
    job = Job(report=lambda fraction, note: stop.set() if fraction > 0 else None, stop=stop)
    with pytest.raises(Stopped):
        scores(sets, networks, store=tmp_path, job=job)
    assert list(tmp_path.rglob("*.npy"))
    assert scores(sets, networks, store=tmp_path).pairs == 6


def test_files_that_cannot_be_used_are_listed(tmp_path: Path, networks: Networks) -> None:
    """Damaged, silent and short clips and clips without a partner are listed with the reason; the rest is scored."""
    for name in ("generated", "reference"):
        (tmp_path / name).mkdir()
        for i in range(4):
            soundfile.write(tmp_path / name / f"good{i}.wav", music(i, 2), 16_000)
        soundfile.write(tmp_path / name / "short.wav", music(1, 0.5), 16_000)
        soundfile.write(tmp_path / name / "silent.wav", np.zeros(32_000), 16_000)
    (tmp_path / "generated" / "broken.wav").write_bytes(b"no sound at all")
    soundfile.write(tmp_path / "reference" / "broken.wav", music(1, 2), 16_000)
    soundfile.write(tmp_path / "generated" / "alone.wav", music(1, 2), 16_000)
    (tmp_path / "generated" / "notes.txt").write_text("not sound")

    found = scores(tmp_path, networks)

    reasons = {(f.name, f.metric): f.reason for f in found.failures}
    assert "digital silence" in reasons["silent", "fad"]
    assert "shorter than one window" in reasons["short", "fad"]
    assert ("broken", "") in reasons
    assert found.alone == ("alone",)
    assert found.fad is not None and found.fad.n == 4 * 3
    assert found.kl["kl"].n == 6  # PaSST hears short and silent clips


def test_files_that_are_not_whole_are_scored_and_named(tmp_path: Path, networks: Networks) -> None:
    """A WAV that is cut off and one with samples that are no numbers are scored, and said, from the store too."""
    for name in ("generated", "reference"):
        (tmp_path / name).mkdir()
        for clip in ("cut", "strange", "whole"):
            soundfile.write(tmp_path / name / f"{clip}.wav", music(1, 4), 16_000, subtype="FLOAT")
    cut = tmp_path / "generated" / "cut.wav"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    wave = music(1, 4)
    wave[100:110] = np.inf
    soundfile.write(tmp_path / "reference" / "strange.wav", wave, 16_000, subtype="FLOAT")
    for name in ("generated", "reference"):
        soundfile.write(tmp_path / name / "none.wav", wave * np.nan, 16_000, subtype="FLOAT")

    first, again = (scores(tmp_path, networks, store=tmp_path / "kept") for _ in range(2))

    assert first.fad is not None and first.fad.n == 2 + 7 + 7
    assert [(remark.name, remark.path) for remark in first.remarks] == [
        ("cut", cut),
        ("strange", tmp_path / "reference" / "strange.wav"),
    ]
    assert "ends early: of the 4.00 s that its header promises there are 2.00 s" in first.remarks[0].text
    assert "10 samples that are no numbers" in first.remarks[1].text
    assert {(failure.name, failure.metric) for failure in first.failures} == {("none", "")}
    assert "nothing but samples that are no numbers" in first.failures[0].reason
    assert again.remarks == first.remarks
    tables = report.music_tables([first.as_dict()])
    assert tables[-1].title == "Files that were scored and are not whole"
    assert len(tables[-1].rows) == 2


def test_stereo_and_any_rate(tmp_path: Path) -> None:
    """The same music in stereo and at other rates is heard as nearly the same."""
    wave = music(3, 3.0, 48_000)
    soundfile.write(tmp_path / "a.wav", wave, 48_000, subtype="FLOAT")
    soundfile.write(tmp_path / "b.flac", np.repeat(wave, 2, axis=1), 48_000)
    soundfile.write(tmp_path / "c.wav", Mono(wave[:, 0].astype(np.float32), 48_000).at(22_050), 22_050, subtype="FLOAT")
    frames = []
    for sound in list_sounds(tmp_path):
        examples, why_none = fad.examples(read_mono(sound.path, Job()).at(16_000), fad.find_recipe("paper"))
        assert not why_none
        frames.append(examples)
    assert len({example.shape for example in frames}) == 1
    for other in frames[1:]:
        assert np.abs(other - frames[0]).mean() < 0.02


def test_pairs_are_cut_to_the_shorter(tmp_path: Path, networks: Networks) -> None:
    """A generated clip that is longer than its reference counts with the reference's length."""
    soundfile.write(tmp_path / "a.wav", music(1, 5), 16_000)
    soundfile.write(tmp_path / "b.wav", music(2, 3, 44_100), 44_100)
    assert networks.vggish is not None
    hearing = listeners.VggishListener(networks.vggish, fad.find_recipe("paper"))
    (heard,) = listen([(Sound("x", tmp_path / "a.wav"), Sound("x", tmp_path / "b.wav"))], [hearing])
    assert [len(vectors) for vectors in heard.vectors["fad"]] == [5, 5]


def test_order_of_clips_does_not_matter(sets: Path, networks: Networks) -> None:
    """The same files in another order give the same distance."""
    sounds, background = list_sounds(sets / "generated"), Background(list_sounds(sets / "reference"))
    one, other = (evaluate_music("x", order, background, networks) for order in (sounds, sounds[::-1]))
    assert one.fad is not None and other.fad is not None
    assert one.fad.value == pytest.approx(other.fad.value, rel=1e-5)
    assert one.kl["kl"].value == pytest.approx(other.kl["kl"].value, rel=1e-9)


def test_sets_without_common_names(sets: Path, networks: Networks, tmp_path: Path) -> None:
    """Unpaired sets are compared as sets; KL is left out and the reason given."""
    soundfile.write(tmp_path / "other.wav", music(9, 4), 16_000)
    found = evaluate_music("x", list_sounds(sets / "generated"), Background(list_sounds(tmp_path)), networks)
    assert found.fad is not None and found.fad.n_reference == 7
    assert not found.kl
    assert any("it compares pairs" in note for note in found.notes)


def test_a_saved_background_serves_again(sets: Path, networks: Networks) -> None:
    """FAD against saved statistics is FAD against the clips they came from."""
    first = scores(sets, networks)
    assert first.background is not None
    generated = list_sounds(sets / "generated")
    second = evaluate_music("x", generated, Background(gaussian=first.background), networks)
    assert first.fad is not None and second.fad is not None
    assert second.fad.value == pytest.approx(first.fad.value, rel=1e-6)
    with pytest.raises(RequestError, match="64 values"):
        evaluate_music("x", generated, Background(gaussian=Gaussian(64, 10)), networks)


def test_level_is_set_by_the_largest_positive_sample() -> None:
    """An asymmetric wave is divided by its largest positive sample; a quiet float gains at most 20 dB."""
    wave = np.array([0.2, -0.8, 0.1], np.float32)
    found = fad.levelled(wave)
    assert found is not None
    np.testing.assert_allclose(found, [1.0, -4.0, 0.5], rtol=1e-3)
    assert fad.levelled(np.zeros(5, np.float32)) is None
    np.testing.assert_allclose(fad.normalised(np.array([0.01, -0.02])), [0.1, -0.2])


def test_sets_from_folders_and_manifests(tmp_path: Path) -> None:
    """Folders are read with what is below them, manifests by id; the same name twice is an error."""
    (tmp_path / "sub").mkdir()
    soundfile.write(tmp_path / "sub" / "a.wav", np.zeros(10), 8000)
    (tmp_path / "list.jsonl").write_text('{"id": "z", "path": "sub/a.wav"}\n')
    assert [sound.name for sound in list_sounds(tmp_path)] == ["sub/a"]
    listed = list_sounds(tmp_path / "list.jsonl")
    assert [(s.name, s.path) for s in listed] == [("z", tmp_path / "sub" / "a.wav")]
    assert pair_sounds(listed, listed).both[0][0].name == "z"
    soundfile.write(tmp_path / "sub" / "a.flac", np.zeros(10), 8000)
    with pytest.raises(RequestError, match="one name"):
        list_sounds(tmp_path)
    with pytest.raises(RequestError, match="no folder or manifest"):
        list_sounds(tmp_path / "none")


def test_a_damaged_store_is_heard_anew(tmp_path: Path) -> None:
    """A stored file that is cut off counts as none."""
    store = Store(tmp_path)
    store.put("abc", np.ones((2, 3), np.float32))
    assert store.get("abc") is not None
    (tmp_path / "ab" / "abc.npy").write_bytes(b"\x93NUMPY")
    assert store.get("abc") is None
