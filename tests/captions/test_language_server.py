"""A server that speaks the OpenAI protocol, well or badly: every case ends in words, and a stop ends it at once."""

import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from musiscene.captions._language import Connection, LanguageModelError, ModelSource, Sampling, Waits, ask
from musiscene.captions._language.background import follow
from musiscene.captions._language.failures import retry_after_s
from musiscene.captions._language.model import Delta, LanguageModel
from musiscene.captions._language.prompts import edited
from musiscene.errors import Stopped
from musiscene.types import Job

GOOD = "A calm piano melody rises over soft strings."
TEMPLATE = edited("fusion", "What suits {video}?", ("video",))
VALUES = {"video": "rain at night"}
QUICK = Waits(tries=3, first_s=0.01, longest_s=1.0)


@pytest.fixture
def model(chat: Any) -> LanguageModel:
    return ModelSource(Connection(model="m-7b", url=chat.url, api_key="sk-secret", timeout_s=5)).get()


def question(model: LanguageModel, **options: Any) -> str:
    return ask(model, TEMPLATE, VALUES, waits=QUICK, **options).text


def test_an_answer_arrives_word_by_word(chat: Any, acts: Any, model: LanguageModel) -> None:
    """What there is so far is told each time, and the request is what the protocol says."""
    chat.acts = [acts.say(GOOD)]
    seen: list[str] = []

    assert question(model, partial=seen.append, seed=7) == GOOD
    assert seen[0] == "A"
    assert seen[-1] == GOOD
    assert len(seen) == len(GOOD.split())
    (asked,) = chat.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == "Bearer sk-secret"
    assert asked.body == {
        "model": "m-7b",
        "messages": [{"role": "user", "content": "What suits rain at night?"}],
        "stream": True,
        "temperature": 0.7,
        "top_p": 0.95,
        "top_k": 40,
        "max_tokens": 512,
        "seed": 7,
    }


def test_a_server_that_does_not_stream_is_understood(chat: Any, acts: Any, model: LanguageModel) -> None:
    """One document instead of events."""
    document = b'{"choices": [{"message": {"role": "assistant", "content": "%s"}, "finish_reason": "stop"}]}'
    chat.acts = [acts.raw(document % GOOD.encode(), "application/json; charset=utf-8")]

    assert question(model) == GOOD


def test_characters_that_python_takes_for_line_ends_are_no_line_ends(
    chat: Any, acts: Any, model: LanguageModel
) -> None:
    """U+2028 inside a piece, comments, empty lines, carriage returns and unknown fields are all allowed."""
    piece = '{"choices": [{"delta": {"content": "A calm\u2028piano melody — ünder rain."}}]}'
    data = f': keep-alive\r\n\r\nevent: message\r\ndata: {piece}\r\n\r\ndata:{{"choices": [], "usage": {{}}}}\r\n\r\n'
    data += 'data: {"choices": [{"delta": {"reasoning_content": "hm"}, "finish_reason": "stop"}]}\r\n\r\ndata: [DONE]'
    chat.acts = [acts.raw(data.encode())]

    assert question(model) == "A calm piano melody — ünder rain."


def test_a_busy_server_is_asked_again_when_it_says(chat: Any, acts: Any, model: LanguageModel) -> None:
    """After its Retry-After; the wait is told."""
    chat.acts = [acts.fail(429, Retry_After="0.3"), acts.fail(503), acts.say(GOOD)]
    notes: list[str] = []
    started = time.monotonic()

    assert question(model, job=Job(report=lambda fraction, note: notes.append(note))) == GOOD
    assert len(chat.asked) == 3
    assert time.monotonic() - started >= 0.3
    assert any("trying again in" in note for note in notes)


def test_a_server_that_asks_for_a_long_wait_is_left(chat: Any, acts: Any, model: LanguageModel) -> None:
    """Its wish is in the message; nobody waits for an hour in front of a page."""
    chat.acts = [acts.fail(429, Retry_After="3600")]

    with pytest.raises(LanguageModelError, match=r"429.*wait 3600 seconds.*later"):
        question(model)
    assert len(chat.asked) == 1


@pytest.mark.parametrize(
    ("status", "says", "asked"),
    [
        (401, "MUSISCENE_LLM_API_KEY", 1),
        (402, "credit", 1),
        (403, "MUSISCENE_LLM_API_KEY", 1),
        (404, r"m-7b.*MUSISCENE_LLM_URL", 1),
        (301, "MUSISCENE_LLM_URL", 1),
        (413, "Shorten", 1),
        (429, "rate limit", 3),
        (500, "Try again", 3),
        (503, "Try again", 3),
        (418, "418", 1),
        (400, "MUSISCENE_LLM_MODEL", 3),  # in three forms, each plainer
    ],
)
def test_a_refusal_becomes_words_with_a_next_step(
    chat: Any, acts: Any, model: LanguageModel, status: int, says: str, asked: int
) -> None:
    """What may pass is tried again; what the server wrote is not repeated."""
    chat.acts = [acts.fail(status)]

    with pytest.raises(LanguageModelError, match=says) as raised:
        question(model)
    assert len(chat.asked) == asked
    assert "sk-secret" not in str(raised.value)
    assert "rain" not in str(raised.value)


def test_a_server_that_knows_fewer_parameters_is_asked_more_plainly(chat: Any, acts: Any, model: LanguageModel) -> None:
    """First without what the protocol does not know, then without any."""
    chat.acts = [acts.fail(400), acts.fail(422), acts.say(GOOD)]

    assert question(model) == GOOD
    full, usual, plain = (set(asked.body) for asked in chat.asked)
    assert full - usual == {"top_k"}
    assert plain == {"model", "messages", "stream"}


@pytest.mark.parametrize(
    ("data", "kind", "says"),
    [
        (b"data: {not json\n\n", "text/event-stream", "no chat answer"),
        (b"data: [1, 2]\n\n", "text/event-stream", "no chat answer"),
        (b'data: {"choices": [7]}\n\n', "text/event-stream", "no chat answer"),
        (b'{"choices": []}', "application/json", "no chat answer"),
        (b"[]", "application/json", "no chat answer"),
        (b"<html>Welcome</html>", "text/html", r"no chat.*/v1"),
        (b'data: {"error": {"message": "overloaded"}}\n\n', "text/event-stream", "failed while"),
        (b'data: {"choices": [{"delta": {"content": "A calm piano"}}]}\n\n', "text/event-stream", "broke off"),
        (b"", "text/event-stream", "broke off"),
        (b'data: {"choices": [{"delta": {"content": "' + b"x" * 30_000 + b'"}}]}\n\n', "text/event-stream", "end"),
    ],
)
def test_nonsense_becomes_words(chat: Any, acts: Any, model: LanguageModel, data: bytes, kind: str, says: str) -> None:
    """Broken JSON, wrong shapes, a web page, an error in the stream, an answer that breaks off or never ends."""
    chat.acts = [acts.raw(data, kind)]

    with pytest.raises(LanguageModelError, match=says):
        question(model)


def test_an_answer_that_breaks_off_is_asked_for_again(chat: Any, acts: Any, model: LanguageModel) -> None:
    """The person sees the new answer replace the piece of the old one."""
    chat.acts = [acts.raw(b'data: {"choices": [{"delta": {"content": "Half an"}}]}\n\n'), acts.say(GOOD)]
    seen: list[str] = []

    assert question(model, partial=seen.append) == GOOD
    assert seen[:2] == ["Half an", "A"]


def test_a_connection_lost_inside_a_chunk_is_noticed(chat: Any, model: LanguageModel) -> None:
    """The length that was promised does not come."""

    def act(exchange: Any) -> None:
        exchange.head(Content_Length="5000")
        exchange.event("A calm")

    chat.acts = [act]

    with pytest.raises(LanguageModelError, match="lost in the middle"):
        question(model)


def test_nobody_at_the_address_is_said(chat: Any) -> None:
    """With what to check."""
    dead = ModelSource(Connection(model="m", url="http://127.0.0.1:9/v1")).get()

    with pytest.raises(LanguageModelError, match=r"cannot be reached.*MUSISCENE_LLM_URL"):
        question(dead)


def test_a_silent_server_is_left_after_the_time_limit(chat: Any, acts: Any) -> None:
    """And the connection is closed; the message names the limit and its setting."""
    chat.acts = [acts.silent("A calm")]
    model = ModelSource(Connection(model="m", url=chat.url, timeout_s=1)).get()

    with pytest.raises(LanguageModelError, match=r"1 seconds.*MUSISCENE_LLM_TIMEOUT_S"):
        question(model)
    assert chat.asked[0].gone.wait(10)


def test_signs_of_life_alone_are_no_answer() -> None:
    """A server that sends nothing but comments is left in the end."""

    def alive(put: Any, left: threading.Event) -> None:
        while not left.wait(0.01):
            put(Delta())

    with pytest.raises(LanguageModelError, match="no end"):
        list(follow(alive, Job(), silence_s=60, longest_s=0.2))


@pytest.mark.slow(seconds=2)
def test_a_slow_server_is_waited_for(chat: Any, acts: Any) -> None:
    """The limit is on silence, not on the whole answer."""
    chat.acts = [acts.slowly(GOOD, 0.2)]
    model = ModelSource(Connection(model="m", url=chat.url, timeout_s=1.2)).get()

    assert question(model) == GOOD


@pytest.mark.parametrize("before", ["", "A calm"])
def test_a_stop_ends_it_while_the_server_is_silent(chat: Any, acts: Any, model: LanguageModel, before: str) -> None:
    """Before the first word and in the middle; the connection is closed."""
    job = Job()
    chat.acts = [acts.silent(before, then=job.stop.set)]

    with pytest.raises(Stopped):
        question(model, job=job)
    assert chat.asked[0].gone.wait(10)


def test_a_stop_ends_the_wait_for_a_busy_server(chat: Any, acts: Any, model: LanguageModel) -> None:
    """Nothing more is asked."""
    chat.acts = [acts.fail(503)]
    stop = threading.Event()
    job = Job(report=lambda fraction, note: stop.set() if "trying again" in note else None, stop=stop)

    with pytest.raises(Stopped):
        ask(model, TEMPLATE, VALUES, job=job, waits=Waits(first_s=20))
    assert len(chat.asked) == 1


def test_an_unusable_answer_is_drawn_again_with_another_seed(chat: Any, acts: Any, model: LanguageModel) -> None:
    """A refusal, an echo, then a good one."""
    chat.acts = [
        acts.say("I'm sorry, but I cannot help with that."),
        acts.say("What suits rain at night?"),
        acts.say(GOOD),
    ]

    answer = ask(model, TEMPLATE, VALUES, seed=5, waits=QUICK)

    assert answer.text == GOOD
    assert answer.tries == 3
    assert len({asked.body["seed"] for asked in chat.asked}) == 3
    assert answer.seed == chat.asked[-1].body["seed"]


def test_a_model_that_always_refuses_is_named_so(chat: Any, acts: Any, model: LanguageModel) -> None:
    """Without randomness there is no point in asking twice."""
    chat.acts = [acts.say("I'm sorry, but I cannot help with that.")]

    with pytest.raises(LanguageModelError, match=r"refused to answer.*another model"):
        question(model)
    with pytest.raises(LanguageModelError, match="refused to answer"):
        question(model, sampling=Sampling(temperature=0))
    assert len(chat.asked) == 3 + 1


def test_an_answer_cut_at_the_bound_ends_with_its_last_sentence(chat: Any, acts: Any, model: LanguageModel) -> None:
    """And its provenance says so."""
    chat.acts = [acts.say(GOOD + " Then the", finish="length")]

    answer = ask(model, TEMPLATE, VALUES, waits=QUICK)

    assert answer.text == GOOD
    assert answer.provenance()["cut_at_max_tokens"] is True


def test_questions_of_two_people_do_not_mix(chat: Any, acts: Any, model: LanguageModel) -> None:
    """Each gets the answer to their own."""

    def act(exchange: Any) -> None:
        asked = exchange.body["messages"][0]["content"]
        acts.slowly(f"For this one: {asked.removeprefix('What suits ')}", 0.02)(exchange)

    chat.acts = [act]
    got: dict[str, str] = {}

    def person(name: str) -> None:
        got[name] = ask(model, TEMPLATE, {"video": f"the house of {name}"}, waits=QUICK).text

    threads = [threading.Thread(target=person, args=(name,)) for name in ("Ada", "Ben", "Cleo", "Dan")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert got == {name: f"For this one: the house of {name}?" for name in ("Ada", "Ben", "Cleo", "Dan")}


def test_retry_after_is_a_number_or_a_date() -> None:
    """Anything else is no wish."""
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=20))

    assert retry_after_s("7") == 7
    assert retry_after_s("-7") == 0
    assert 15 < (retry_after_s(soon) or 0) <= 20
    assert [retry_after_s(value) for value in ("", "soon", "nan", "inf")] == [None] * 4
