"""Hugging Face's inference providers, and endpoints of one's own, through `huggingface_hub`'s client.

The client's asynchronous twin is used: leaving it closes the connection, so a stop takes effect while the model is
silent.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import TYPE_CHECKING

from musiscene.captions._language.background import follow
from musiscene.captions._language.failures import ParameterRefusedError, broke_off, broken, refused, unreachable
from musiscene.captions._language.model import Delta, Facts, LanguageModelError, Question
from musiscene.captions._language.server import PATIENCE
from musiscene.following import from_async
from musiscene.types import Job

if TYPE_CHECKING:
    from musiscene.captions._language.source import Connection

NO_KEY = "none"
"""Sent to an endpoint of one's own without a key: else the client would send it the token stored on this machine."""


class HubClient:
    """A model served by Hugging Face's providers, or at an address. Any number of threads may ask."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def facts(self) -> Facts:
        """What is known of the model: its id."""
        return Facts("hf", self._connection.model)

    def stream(self, question: Question, job: Job) -> Iterator[Delta]:
        """Yield the answer as it arrives.

        Providers that refuse `top_k` or `seed` (400, 422) are asked again without.

        Raises:
            LanguageModelError: It cannot be asked; the message says why.
            Stopped: `job` was stopped.
        """
        for own in (True, False):
            produce = from_async(lambda _put, own=own: self._answer(question, own))  # type: ignore[misc]
            try:
                yield from follow(produce, job, self._connection.timeout_s, PATIENCE * self._connection.timeout_s)
                return
            except ParameterRefusedError:
                if not own:
                    raise

    async def _answer(self, question: Question, own: bool) -> AsyncGenerator[Delta, None]:
        import httpx2  # what huggingface_hub speaks HTTP with
        from huggingface_hub import AsyncInferenceClient
        from huggingface_hub.errors import HfHubHTTPError, TextGenerationError

        connection, sampling = self._connection, question.sampling
        client = AsyncInferenceClient(
            model=None if connection.url else connection.model,
            base_url=connection.url or None,
            api_key=connection.api_key or NO_KEY,
            timeout=None,  # silence is watched by follow()
        )
        try:
            async with client:
                try:
                    stream = await client.chat_completion(
                        [{"role": "user", "content": question.text}],
                        model=connection.model,
                        stream=True,
                        max_tokens=sampling.max_tokens,
                        temperature=sampling.temperature,
                        top_p=sampling.top_p,
                        seed=question.seed if own else None,
                        extra_body={"top_k": sampling.top_k} if own else None,
                    )
                except ValueError:  # the client's own refusal, before anything is sent
                    raise LanguageModelError(
                        f"No inference provider serves {connection.model} to this key. Choose another "
                        "MUSISCENE_LLM_MODEL, or check MUSISCENE_LLM_API_KEY."
                    ) from None
                async for part in stream:
                    if part.choices:
                        choice = part.choices[0]
                        yield Delta(choice.delta.content or "", choice.finish_reason or "")
                    else:
                        yield Delta()
        except HfHubHTTPError as error:
            raise refused(error.response.status_code, error.response.headers, connection.model) from None
        except TextGenerationError:
            raise LanguageModelError(
                "The language model's server failed while it was answering. Try again later.", transient=True
            ) from None
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            raise unreachable() from None
        except httpx2.TransportError:
            raise broke_off() from None
        except httpx2.ResponseNotRead:  # the client stumbles here over a stream that is refused with 422
            raise refused(422, {}, connection.model) from None
        except (ValueError, AttributeError, TypeError, KeyError, httpx2.HTTPError):
            raise broken() from None
