"""Hugging Face's own client against a server that speaks the protocol."""

from typing import Any

import pytest

from musiscene.captions._language import Connection, LanguageModelError, ModelSource, Waits, ask
from musiscene.captions._language.model import LanguageModel
from musiscene.captions._language.prompts import edited
from musiscene.errors import Stopped
from musiscene.types import Job

GOOD = "A calm piano melody rises over soft strings."
TEMPLATE = edited("fusion", "What suits {video}?", ("video",))
QUICK = Waits(tries=2, first_s=0.01, longest_s=1.0)


def hub(chat: Any, **options: Any) -> LanguageModel:
    return ModelSource(Connection("hf", "org/model-7b", chat.url, **{"timeout_s": 5.0, **options})).get()


def question(model: LanguageModel, **options: Any) -> str:
    return ask(model, TEMPLATE, {"video": "rain at night"}, waits=QUICK, **options).text


def test_an_answer_arrives_word_by_word(chat: Any, acts: Any) -> None:
    """With the published sampling, and the key that was given."""
    chat.acts = [acts.say(GOOD)]
    seen: list[str] = []

    assert question(hub(chat, api_key="hf_secret"), partial=seen.append, seed=3) == GOOD
    assert seen[-1] == GOOD
    assert len(seen) > 3
    (asked,) = chat.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == "Bearer hf_secret"
    wanted = {"model": "org/model-7b", "temperature": 0.7, "top_p": 0.95, "top_k": 40, "max_tokens": 512, "seed": 3}
    assert wanted.items() <= asked.body.items()


def test_the_token_stored_on_this_machine_is_sent_to_no_other_address(
    chat: Any, acts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client would send it by itself to an endpoint of one's own."""
    monkeypatch.setenv("HF_TOKEN", "hf_stored_on_this_machine")
    chat.acts = [acts.say(GOOD)]

    assert question(hub(chat)) == GOOD
    assert "hf_stored" not in str(chat.asked[0].headers)


@pytest.mark.parametrize(
    ("status", "says", "asked"),
    [
        (401, "MUSISCENE_LLM_API_KEY", 1),
        (404, "org/model-7b", 1),
        (429, "rate limit", 2),
        (500, "Try again", 2),
        (422, "422", 2),
    ],
)
def test_a_refusal_becomes_words(chat: Any, acts: Any, status: int, says: str, asked: int) -> None:
    """The same as for any server; the client's own message, with address and request, is not shown."""
    chat.acts = [acts.fail(status)]

    with pytest.raises(LanguageModelError, match=says) as raised:
        question(hub(chat, api_key="hf_secret"))
    assert len(chat.asked) == asked
    assert not any(word in str(raised.value) for word in ("hf_secret", "127.0.0.1", "rain"))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"data: {not json\n\n", "no chat answer"),
        (b'data: {"choices": [7]}\n\n', "no chat answer"),
        (b'data: {"error": "overloaded", "error_type": "overloaded"}\n\n', "failed while"),
        (b'data: {"choices": [{"index": 0, "delta": {"content": "A calm"}}]}\n\n', "broke off"),
    ],
)
def test_nonsense_becomes_words(chat: Any, acts: Any, data: bytes, says: str) -> None:
    """Broken JSON, a wrong shape, an error in the stream, an answer that breaks off."""
    chat.acts = [acts.raw(data)]

    with pytest.raises(LanguageModelError, match=says):
        question(hub(chat))


def test_a_silent_server_is_left(chat: Any, acts: Any) -> None:
    """After the time limit, in words."""
    chat.acts = [acts.silent("A calm")]

    with pytest.raises(LanguageModelError, match="MUSISCENE_LLM_TIMEOUT_S"):
        question(hub(chat, timeout_s=1.0))


def test_a_stop_closes_the_connection(chat: Any, acts: Any) -> None:
    """While the server is silent."""
    job = Job()
    chat.acts = [acts.silent("A calm", then=job.stop.set)]

    with pytest.raises(Stopped):
        question(hub(chat), job=job)
    assert chat.asked[0].gone.wait(10)


def test_nobody_at_the_address_is_said() -> None:
    """With what to check."""
    dead = ModelSource(Connection("hf", "m", "http://127.0.0.1:9/v1")).get()

    with pytest.raises(LanguageModelError, match=r"cannot be reached.*MUSISCENE_LLM_URL"):
        question(dead)
