"""What the browser is told of the questions about the music."""

from __future__ import annotations

from musiscene.captions._mu_llama.questions import SUGGESTED
from musiscene.registry import BackendSpec
from musiscene.ui.comparison import Comparison
from musiscene.ui.exchange import Exchange
from musiscene.ui.texts import ENGLISH, Texts, fill, say
from musiscene.ui.view import View

LONGEST_QUESTION = 1000
"""Characters; a captioner may accept fewer, and says so."""


def ask_view(
    comparison: Comparison | None,
    person: str,
    answerer: tuple[BackendSpec | None, str],
    texts: Texts = ENGLISH,
) -> View:
    """The panel: whether somebody can answer, and what was asked.

    Args:
        comparison: What is asked about; None before there is anything.
        person: Who looks.
        answerer: Who answers, and what it lacks.
        texts: In which language.
    """
    spec, lacks = answerer
    view: View = {
        "token": comparison.token if comparison else "",
        "version": comparison.version if comparison else 0,
        "ready": spec is not None and not lacks,
        "by": spec.name if spec else "",
        "lacks": lacks,
        "open": False,
        "why": texts["ask_clip"],
        "exchanges": [],
        "suggested": list(SUGGESTED),
    }
    if comparison is None:
        return view
    hidden, silent = not comparison.revealed_to(person), comparison.sources.sound is None
    view["open"] = not hidden and not silent
    view["why"] = texts["ask_hidden"] if hidden else texts["ask_silent"] if silent else ""
    if not hidden:
        view["exchanges"] = [_exchange(exchange, texts) for exchange in comparison.questions]
    return view


def _exchange(exchange: Exchange, texts: Texts) -> View:
    status = {"starting": texts["ask_starting"], "writing": texts["ask_writing"], "stopped": texts["ask_stopped"]}
    if exchange.state == "waiting" and exchange.ahead:
        one = exchange.ahead == 1
        status["waiting"] = texts["waiting_one"] if one else fill(texts["waiting_many"], n=exchange.ahead)
    return {
        "question": exchange.question,
        "answer": exchange.answer,
        "busy": exchange.busy,
        "status": status.get(exchange.state, ""),
        "by": fill(texts["ask_by"], name=exchange.backend, seed=exchange.seed),
        "error": say(exchange.error, texts),
    }
