"""An instruct model on this machine: a real one, of a few thousand parameters."""

import threading
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from musiscene.captions._language import Connection, LanguageModelError, ModelSource, Sampling, Waits, ask  # noqa: E402
from musiscene.captions._language.local import LocalModel, _Draw  # noqa: E402
from musiscene.captions._language.model import Delta, Facts, LanguageModel, Question  # noqa: E402
from musiscene.captions._language.prompts import edited, find_template  # noqa: E402
from musiscene.errors import BackendUnavailableError, Stopped  # noqa: E402
from musiscene.types import Job  # noqa: E402

HOT = Sampling(temperature=4.0, top_p=1.0, top_k=0, max_tokens=40)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LanguageModel:
    return ModelSource(Connection(model=str(tiny_model))).get()


def words(model: LanguageModel, sampling: Sampling, seed: int, text: str = "What?") -> str:
    return "".join(delta.text for delta in model.stream(Question(text, sampling, seed), Job()))


def test_it_answers_in_pieces_and_says_why_it_ended(model: LanguageModel, learned: str) -> None:
    """What it has learned, word by word, without marks of turns."""
    pieces = list(model.stream(Question("What?", Sampling(), 1), Job()))

    assert "".join(piece.text for piece in pieces) == learned
    assert len(pieces) > 5
    assert pieces[-1] == Delta(finish="stop")


def test_it_merges_captions(model: LanguageModel, learned: str) -> None:
    """The whole way from template to clean answer, with facts and without an address."""
    values = {"video": "rain", "music": "piano"}
    answer = ask(model, find_template("fusion/paper"), values, sampling=Sampling(temperature=0.1))

    assert answer.text == learned
    assert answer.provenance()["language_model"] == {"provider": "local", "model": "tiny-instruct"}


def test_the_same_seed_gives_the_same_words_whatever_else_draws(model: LanguageModel) -> None:
    """At a temperature where every seed says something else; the global random state is neither read nor changed."""
    first = words(model, HOT, 11)
    state = torch.get_rng_state()
    torch.rand(5)
    again = words(model, HOT, 11)
    torch.set_rng_state(state)

    assert first == again
    assert first != words(model, HOT, 12)
    words(model, HOT, 13)
    assert torch.equal(torch.get_rng_state(), state)


def test_two_people_at_once_get_what_each_would_get_alone(model: LanguageModel) -> None:
    """One waits for the other."""
    alone = {seed: words(model, HOT, seed) for seed in range(4)}
    together: dict[int, str] = {}
    threads = [threading.Thread(target=lambda s=seed: together.update({s: words(model, HOT, s)})) for seed in alone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert together == alone


def test_draws_follow_the_probabilities() -> None:
    """Gumbel noise: the share of each word is its probability, within what 4000 draws can tell; top-k cuts the tail."""
    scores = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05])).repeat(4000, 1)
    drawn = _Draw(Sampling(temperature=1.0, top_p=1.0, top_k=3), seed=0)(torch.zeros(4000, 1).long(), scores).argmax(
        dim=1
    )
    share = torch.bincount(drawn, minlength=4) / 4000

    assert share[3] == 0
    assert torch.allclose(share[:3], torch.tensor([0.5, 0.3, 0.15]) / 0.95, atol=0.03)


def test_temperature_zero_takes_the_likeliest_word(model: LanguageModel) -> None:
    """Every time."""
    assert words(model, Sampling(temperature=0), 1) == words(model, Sampling(temperature=0), 2)


def test_the_bound_on_tokens_holds(model: LanguageModel) -> None:
    """And is given as the reason for the end."""
    pieces = list(model.stream(Question("What?", Sampling(max_tokens=5), 1), Job()))

    assert pieces[-1].finish == "length"


def test_a_stop_ends_the_generation_and_frees_the_model(model: LanguageModel, learned: str) -> None:
    """The next question is answered as if nothing had been."""
    job = Job()
    stream = model.stream(Question("What?", Sampling(temperature=5, top_p=1, top_k=0, max_tokens=1500), 1), job)
    next(stream)
    job.stop.set()

    with pytest.raises(Stopped):
        list(stream)
    assert words(model, Sampling(temperature=0.1), 1) == learned


def test_a_stop_ends_the_wait_for_ones_turn(model: LanguageModel) -> None:
    """While another question is being answered."""
    assert isinstance(model, LocalModel)
    job = Job()
    threading.Timer(0.15, job.stop.set).start()
    with model._busy, pytest.raises(Stopped):
        list(model.stream(Question("What?", Sampling(), 1), job))


def test_a_question_that_is_too_long_is_refused_in_words(model: LanguageModel) -> None:
    """With both lengths, before anything is computed."""
    with pytest.raises(LanguageModelError, match=r"too long.*of 2048"):
        list(model.stream(Question("long " * 3000, Sampling(), 1), Job()))


def test_a_wrapping_takes_the_place_of_the_chat_template(model: LanguageModel) -> None:
    """The published captions were made that way."""
    assert isinstance(model, LocalModel)
    wrapped = LocalModel(model._model, model._tokenizer, Facts("local", "m"), wrapping="[INST] {text} [/INST]\n    ")

    ids = wrapped._encode("Why?")["input_ids"][0]
    assert model._tokenizer.decode(ids) == "[INST] Why? [/INST]\n    "


def test_a_model_without_a_chat_template_is_refused(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A base model would ramble."""
    assert isinstance(model, LocalModel)
    monkeypatch.setattr(model._tokenizer, "chat_template", None)

    with pytest.raises(BackendUnavailableError, match="chat template"):
        LocalModel(model._model, model._tokenizer, Facts("local", "base-model"))


def test_damaged_weights_are_told_in_words(tiny_model: Path, tmp_path: Path) -> None:
    """One sentence with the next step."""
    for part in tiny_model.iterdir():
        data = part.read_bytes()
        (tmp_path / part.name).write_bytes(data[:200] if part.suffix == ".safetensors" else data)

    with pytest.raises(BackendUnavailableError, match="damaged"):
        ModelSource(Connection(model=str(tmp_path))).get()


def test_an_answer_without_sense_is_refused(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guards see local answers too."""
    monkeypatch.setattr(LocalModel, "stream", lambda self, question, job: iter([Delta("Hm.", "stop")]))

    with pytest.raises(LanguageModelError, match="next to nothing"):
        ask(model, edited("fusion", "{video}", ("video",)), {"video": "a b c d e"}, waits=Waits(tries=2, first_s=0))


def test_loading_leaves_the_tokenizer_and_the_weights_as_they_are(tiny_model: Path) -> None:
    """Loading writes nothing."""
    before: dict[str, Any] = {part.name: part.read_bytes() for part in tiny_model.iterdir()}
    ModelSource(Connection(model=str(tiny_model))).get()

    assert {part.name: part.read_bytes() for part in tiny_model.iterdir()} == before
