"""Any server that speaks the OpenAI chat protocol: llama.cpp, Ollama, vLLM, LM Studio, or one in a cloud."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from musiscene.captions._language.background import follow
from musiscene.captions._language.failures import ParameterRefusedError, broke_off, broken, refused, unreachable
from musiscene.captions._language.model import Delta, Facts, LanguageModelError, Question
from musiscene.following import from_async
from musiscene.types import Job

if TYPE_CHECKING:
    import httpx

    from musiscene.captions._language.source import Connection

CONNECT_S = 10.0
PATIENCE = 10
"""An answer may take so many times the longest silence."""
MAX_LINE_BYTES = 1 << 20


class OpenAIServer:
    """A chat endpoint at an address. Every question opens its own connection, so any number of threads may ask."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._endpoint = connection.url.rstrip("/")
        if not self._endpoint.endswith("/chat/completions"):
            self._endpoint += "/chat/completions"

    @property
    def facts(self) -> Facts:
        """What is known of the model: its name there."""
        return Facts("openai", self._connection.model)

    def stream(self, question: Question, job: Job) -> Iterator[Delta]:
        """Yield the answer as it arrives.

        Servers differ in what they accept: a question that is refused for its form (400, 422) is asked again without
        the parameters that the protocol does not know, then without any.

        Raises:
            LanguageModelError: It cannot be asked; the message says why.
            Stopped: `job` was stopped.
        """
        forms = _forms(self._connection.model, question)
        for body in forms:
            produce = from_async(lambda _put, body=body: self._answer(body))  # type: ignore[misc]
            try:
                yield from follow(produce, job, self._connection.timeout_s, PATIENCE * self._connection.timeout_s)
                return
            except ParameterRefusedError:
                if body is forms[-1]:
                    raise

    async def _answer(self, body: dict[str, Any]) -> AsyncGenerator[Delta, None]:
        import httpx

        headers = {"Accept": "text/event-stream, application/json"}
        if self._connection.api_key:
            headers["Authorization"] = f"Bearer {self._connection.api_key}"
        timeout = httpx.Timeout(None, connect=CONNECT_S)  # silence is watched by follow()
        try:
            async with (
                httpx.AsyncClient(timeout=timeout, headers=headers) as client,
                client.stream("POST", self._endpoint, json=body) as response,
            ):
                if response.status_code >= 300:
                    raise refused(response.status_code, response.headers, self._connection.model)
                async for delta in _read(response):
                    yield delta
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise unreachable() from None
        except httpx.TransportError:
            raise broke_off() from None
        except httpx.HTTPError:
            raise broken() from None


def _forms(model: str, question: Question) -> tuple[dict[str, Any], ...]:
    """The question from its fullest to its plainest form."""
    sampling = question.sampling
    plain = {"model": model, "messages": [{"role": "user", "content": question.text}], "stream": True}
    usual = plain | {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": question.seed,
    }
    return usual | {"top_k": sampling.top_k}, usual, plain


async def _read(response: httpx.Response) -> AsyncGenerator[Delta, None]:
    """The pieces of an answer: server-sent events, or one document from a server that does not stream."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        yield _whole(await response.aread())
        return
    if kind != "text/event-stream":
        raise LanguageModelError(
            "There is no chat at the address of the language model (the answer is of the kind "
            f"{kind[:40] or 'unknown'!r}). Check MUSISCENE_LLM_URL; most addresses end with /v1."
        )
    async for line in _lines(response.aiter_bytes()):
        if not line.startswith(b"data:"):
            yield Delta()  # a comment or an empty line: a sign of life
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            return
        yield _piece(data)


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Lines as the protocol means them: Python's and httpx's also break at U+2028, which JSON may hold."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise broken()
        for line in lines:
            yield line.rstrip(b"\r")
    if rest:
        yield rest


def _piece(data: bytes) -> Delta:
    document = _json(data)
    choices = document.get("choices")
    if not choices:  # usage figures, or a provider's own notes
        return Delta()
    try:
        choice = choices[0]
        delta = choice.get("delta") or {}
        return Delta(_text(delta.get("content")), _text(choice.get("finish_reason")))
    except (AttributeError, KeyError, IndexError, TypeError):
        raise broken() from None


def _whole(data: bytes) -> Delta:
    try:
        choice = _json(data)["choices"][0]
        return Delta(_text(choice["message"].get("content")), _text(choice.get("finish_reason")) or "stop")
    except (AttributeError, KeyError, IndexError, TypeError):
        raise broken() from None


def _json(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError:
        raise broken() from None
    if not isinstance(document, dict):
        raise broken()
    if document.get("error"):
        raise LanguageModelError(
            "The language model's server failed while it was answering. Try again later.", transient=True
        )
    return document


def _text(value: object) -> str:
    """The text of a field; some servers send null, some a list of parts."""
    if isinstance(value, list):
        return "".join(part.get("text", "") for part in value if isinstance(part, dict))
    return value if isinstance(value, str) else ""
