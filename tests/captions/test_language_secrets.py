"""A key is shown to its server and to nobody else; what people wrote is in no log."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from musiscene.backend_options import backend_options
from musiscene.captions._language import Waits
from musiscene.errors import explain
from musiscene.pipeline import CaptionReady, KindUnavailable, Pipeline
from musiscene.registry import Pool
from musiscene.settings import Settings
from musiscene.sources import Sources
from musiscene.types import Caption, CaptionKind, CaptionSet, Clip

VIDEO, MUSIC, FUSION, _ = CaptionKind
KEY = "sk-very-secret-key-0123456789"
CLIP = Clip(Path("picture.mp4"), 4.0, has_video=True, has_audio=True)
WORDS = "Grandmother's violet umbrella"
KNOWN = CaptionSet(
    [Caption(VIDEO, f"{WORDS} in the rain.", "edited"), Caption(MUSIC, f"{WORDS} as a slow waltz.", "edited")]
)


def pipeline_of(chat: Any, provider: str, timeout_s: float = 10) -> Pipeline:
    environ = {
        "MUSISCENE_LLM_PROVIDER": provider,
        "MUSISCENE_LLM_MODEL": "m-7b",
        "MUSISCENE_LLM_URL": chat.url,
        "MUSISCENE_LLM_API_KEY": KEY,
        "MUSISCENE_LLM_TIMEOUT_S": str(timeout_s),
    }
    settings = Settings.from_env(environ)
    source = backend_options(settings)["llm"]["source"]
    return Pipeline(settings, Pool(options={"llm": {"source": source, "waits": Waits(first_s=0.01)}}))


def test_no_text_form_of_anything_shows_the_key(chat: Any, acts: Any) -> None:
    """Settings, pool, source, connection, backend: what ends up in a traceback or a debugger's log."""
    pipeline = pipeline_of(chat, "openai")
    source = pipeline.pool.options["llm"]["source"]
    chat.acts = [acts.say("Slow waltz music in the rain.")]

    shown = [pipeline, pipeline.settings, pipeline.pool, source, source.connection, source.get(), source.get().facts]

    assert pipeline.settings.llm_api_key == KEY
    assert not any(KEY in form for thing in shown for form in (repr(thing), str(thing)))


@pytest.mark.slow(seconds=2)
@pytest.mark.parametrize("provider", ["openai", "hf"])
@pytest.mark.parametrize("act", ["good", "long", "refused", "failed", "broken", "silent", "no key"])
def test_neither_key_nor_captions_get_out(
    chat: Any, acts: Any, provider: str, act: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever the server does, and even when it quotes both: not in logs, events, manifests or on the terminal."""
    caplog.set_level(logging.INFO)
    long = f"{WORDS} turns to the sound of a slow and gentle waltz on the violin. "
    chat.acts = [
        {
            "good": acts.say(f"{WORDS} dances a slow waltz in the rain."),
            "long": acts.say(
                " ".join([long, *(f"Bar {number} then brings the {number}th of its turns." for number in range(9, 30))])
            ),
            "refused": acts.fail(400),
            "failed": acts.fail(429, Retry_After="999"),
            "broken": acts.raw(f"data: {KEY} {WORDS}\n\n".encode()),
            "silent": acts.silent(),
            "no key": acts.fail(401),
        }[act]
    ]

    events = list(
        pipeline_of(chat, provider, 1.5 if act == "silent" else 10).describe(
            Sources(CLIP, CLIP), kinds=frozenset({FUSION}), captioners={FUSION: "llm"}, known=KNOWN
        )
    )

    outcome = events[-1]
    assert isinstance(outcome, CaptionReady if act in ("good", "long") else KindUnavailable)
    assert chat.asked[0].headers["authorization"] == f"Bearer {KEY}"
    public = [repr(event) for event in events]
    if isinstance(outcome, CaptionReady):
        public.append(json.dumps(outcome.caption.as_dict()))
    else:
        assert WORDS not in outcome.reason
    printed = capfd.readouterr()
    assert not any(KEY in text for text in (*public, caplog.text, printed.out, printed.err))
    assert not any(WORDS in text for text in (caplog.text, printed.out, printed.err))


def test_even_a_defect_is_logged_without_the_key(chat: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Its traceback names lines, not values."""
    source = pipeline_of(chat, "openai").pool.options["llm"]["source"]
    try:
        raise RuntimeError(f"defect in {source!r}")
    except RuntimeError as error:
        shown = explain(error, "asking")

    assert KEY not in shown
    assert KEY not in caplog.text
