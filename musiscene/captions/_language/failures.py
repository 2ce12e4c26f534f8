"""What a server's refusal means, in words, with the next step. Its own words are not repeated: they may quote us."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from musiscene.captions._language.model import LanguageModelError

BROKEN = "The language model's server sent something that is no chat answer."
"""Said before the next step, which depends on what came."""


class ParameterRefusedError(LanguageModelError):
    """The server does not accept a question of this form (400, 422); a plainer one may do."""


def refused(status: int, headers: Mapping[str, str], model: str) -> LanguageModelError:
    """The error for an answer with HTTP `status`.

    Args:
        status: 300 and above.
        headers: Of the answer; `Retry-After` is read.
        model: The model that was asked for.
    """
    wait_s = retry_after_s(headers.get("retry-after", ""))
    wish = f" It asks to wait {math.ceil(wait_s)} seconds." if wait_s else ""
    if status == 429:
        return LanguageModelError(
            f"The language model's server takes no more questions just now (429: rate limit or quota).{wish} Try again "
            "later, or use another model or key.",
            transient=True,
            wait_s=wait_s,
        )
    if status in (401, 403):
        return LanguageModelError(
            f"The language model's server does not let us in ({status}). Check MUSISCENE_LLM_API_KEY, and that "
            "this key may "
            f"use {model}."
        )
    if status == 402:
        return LanguageModelError(
            "The language model's server wants to be paid first (402). Check the account's credit."
        )
    if status == 404:
        return LanguageModelError(
            f"The language model's server has no model {model}, or no chat at this address (404). Check "
            "MUSISCENE_LLM_MODEL and MUSISCENE_LLM_URL (most addresses end with /v1)."
        )
    if status == 413:
        return LanguageModelError("The captions are too long for the language model's server (413). Shorten them.")
    if status in (400, 422):
        return ParameterRefusedError(
            f"The language model's server refused the question ({status}). Check MUSISCENE_LLM_MODEL, and that "
            "the model "
            "is one for chat."
        )
    if 300 <= status < 400:
        return LanguageModelError(
            f"The language model's server has moved ({status}). Set MUSISCENE_LLM_URL to its present address."
        )
    if status in (408, 409, 425) or status >= 500:
        return LanguageModelError(
            f"The language model's server failed ({status}).{wish} Try again later.", transient=True, wait_s=wait_s
        )
    return LanguageModelError(f"The language model's server refused the question ({status}).")


def unreachable() -> LanguageModelError:
    """Nobody answers at the address."""
    return LanguageModelError(
        "The language model's server cannot be reached. Start it, or check MUSISCENE_LLM_URL and the network.",
        transient=True,
    )


def broke_off() -> LanguageModelError:
    """The connection ended before the answer did."""
    return LanguageModelError(
        "The connection to the language model's server was lost in the middle of the answer. Try again.", transient=True
    )


def broken(what_to_do: str = "Try again; if it stays so, check MUSISCENE_LLM_URL.") -> LanguageModelError:
    """What came is not what the protocol says."""
    return LanguageModelError(f"{BROKEN} {what_to_do}", transient=True)


def retry_after_s(value: str) -> float | None:
    """Seconds that a `Retry-After` header asks for, as number or date (RFC 9110, section 10.2.3); None without one."""
    value = value.strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
