"""Captions by a language model, through the pipeline: streamed, stopped, briefed, marked."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from musiscene.backend_options import backend_options
from musiscene.captions._language import Connection, ModelSource, Sampling, Waits, scene_target
from musiscene.captions._language.brief import BRIEF_WORDS
from musiscene.errors import MissingCaptionError, RequestError, Stopped
from musiscene.pipeline import CaptionPart, CaptionReady, KindUnavailable, Pipeline, StageProgress
from musiscene.registry import Pool, find_captioner
from musiscene.settings import Settings
from musiscene.sources import Sources
from musiscene.types import Caption, CaptionKind, CaptionRequest, CaptionSet, Clip, Job

VIDEO, MUSIC, FUSION, MSI = CaptionKind
PICTURE = Clip(Path("picture.mp4"), 4.0, has_video=True, has_audio=True, width=64, height=48, fps=10)
SILENT = replace(PICTURE, has_audio=False)
SEEN = Caption(VIDEO, "A man rides a bicycle through rain.", "sketch")
HEARD = Caption(MUSIC, "A slow, sad melody on a cello.", "sketch")
GOOD = "A slow cello melody accompanies a man who rides through the rain."
LONG = (
    "A slow cello melody accompanies a man who rides through the rain. The picture is grey and the street is "
    "empty, wide and "
    "long. Behind him the shops have closed for the night, and only one window is lit. The music follows every turn of "
    "the wheels with soft strings, and a lonely piano answers from far away. Nothing happens in a hurry here. The man "
    "stops at a crossing, looks left and right although nobody comes, and rides on. The minor key keeps its sad "
    "colour, yet "
    "the rhythm is steady, almost like breathing. When he reaches the bridge the clouds open a little. A flute enters, "
    "careful and bright, above the low drums. On the other side of the river there are trees, and birds fly up "
    "from them. "
    "He smiles for the first time. The last chord is warm and quiet, and it fades with the sound of the water below."
)
KNOWN = CaptionSet([SEEN, HEARD])
QUICK = Waits(first_s=0.01)


@pytest.fixture
def settings(chat: Any) -> Settings:
    return Settings(llm_model="m-7b", llm_url=chat.url, llm_api_key="sk-secret", llm_timeout_s=10)


def events(settings: Settings, kind: CaptionKind, name: str = "llm", **options: Any) -> Iterator[Any]:
    options = {"known": KNOWN, "sources": Sources(PICTURE, PICTURE), **options}
    sources = options.pop("sources")
    loaded_with = backend_options(settings)
    for impatient in ("llm", "llm-picture"):
        loaded_with[impatient] = {**loaded_with[impatient], "waits": QUICK}
    pool = Pool(options=loaded_with)
    return Pipeline(settings, pool).describe(sources, kinds=frozenset({kind}), captioners={kind: name}, **options)


def caption(stream: Iterator[Any]) -> Caption:
    (ready,) = [event for event in stream if isinstance(event, CaptionReady)]
    return ready.caption


def test_fusion_merges_the_captions_there_are(chat: Any, acts: Any, settings: Settings) -> None:
    """With the published question; the evidence says which model, prompt, sampling and words."""
    chat.acts = [acts.say(GOOD)]

    made = caption(events(settings, FUSION, seed=9))

    assert (made.kind, made.text, made.backend) == (FUSION, GOOD, "llm")
    assert made.prompt == chat.prompts[0]
    assert made.prompt.startswith(f"Video caption: '{SEEN.text}' \nMusic caption: '{HEARD.text}' \nDescribe the music")
    assert made.evidence["language_model"] == {"provider": "openai", "model": "m-7b"}
    assert made.evidence["prompt_name"] == "fusion/paper"
    assert made.evidence["sampling"] == Sampling().as_dict()
    assert made.evidence["seed"] == 9
    assert made.evidence["made_from"] == {"video": SEEN.text, "music": HEARD.text}
    assert "read_until" not in made.evidence


def test_the_text_streams_into_the_card(chat: Any, acts: Any, settings: Settings) -> None:
    """Parts that grow, before the caption is ready; progress with a note beside them."""
    chat.acts = [acts.say(GOOD)]

    seen = list(events(settings, FUSION))

    parts = [event for event in seen if isinstance(event, CaptionPart)]
    assert len(parts) > 5
    assert all(later.text.startswith(earlier.text) for earlier, later in pairwise(parts))
    assert parts[-1] == CaptionPart(FUSION, GOOD)
    assert isinstance(seen[-1], CaptionReady)
    assert any(isinstance(event, StageProgress) and "writing" in event.note for event in seen)


def test_a_stop_ends_it_while_the_model_is_silent(chat: Any, acts: Any, settings: Settings) -> None:
    """And the server is left."""
    stop = threading.Event()
    chat.acts = [acts.silent("A slow", then=stop.set)]

    with pytest.raises(Stopped):
        list(events(settings, FUSION, stop=stop))
    assert chat.asked[0].gone.wait(10)


def test_a_failure_becomes_the_reason_of_the_kind(chat: Any, acts: Any, settings: Settings) -> None:
    """In words, with the next step."""
    chat.acts = [acts.fail(401)]

    (failed,) = [event for event in events(settings, FUSION) if isinstance(event, KindUnavailable)]

    assert failed.kind == FUSION
    assert "MUSISCENE_LLM_API_KEY" in failed.reason


def test_a_long_caption_comes_with_a_brief(chat: Any, acts: Any, settings: Settings) -> None:
    """Where a music generator stops reading well, and at most 60 words that the model distilled."""
    brief = "A slow, sad cello melody over soft strings, about 60 bpm, that rises towards the end."
    chat.acts = [acts.say(LONG), acts.say(brief)]

    made = caption(events(settings, FUSION))

    assert made.text == LONG
    assert 0 < made.evidence["read_until"] < len(LONG)
    assert made.evidence["music_brief"] == brief
    assert made.evidence["music_brief_by"] == "language model"
    assert LONG in chat.prompts[1]


@pytest.mark.parametrize("second", ["fails", "refuses", "rambles"])
def test_without_the_models_help_the_best_sentences_are_the_brief(
    chat: Any, acts: Any, settings: Settings, second: str
) -> None:
    """The caption is there all the same."""
    wrong = {"fails": acts.fail(500), "refuses": acts.say("I'm sorry, I cannot do that."), "rambles": acts.say(LONG)}
    chat.acts = [acts.say(LONG), wrong[second]]

    made = caption(events(settings, FUSION))

    assert made.text == LONG
    assert "cello" in made.evidence["music_brief"]
    assert len(made.evidence["music_brief"].split()) <= BRIEF_WORDS
    assert made.evidence["music_brief_by"] != "language model"


def test_a_persons_own_prompt_is_asked(chat: Any, acts: Any, settings: Settings) -> None:
    """Theirs for this kind; the evidence calls it edited."""
    chat.acts = [acts.say(GOOD)]

    made = caption(events(settings, FUSION, prompts={FUSION: "Score {video} like {music}", MSI: "other {music}"}))

    assert chat.prompts == [f"Score {SEEN.text} like {HEARD.text}"]
    assert made.evidence["prompt_name"] == "edited"


def test_a_prompt_that_cannot_work_is_a_reason(chat: Any, acts: Any, settings: Settings) -> None:
    """Nothing is asked."""
    (failed,) = [
        event for event in events(settings, FUSION, prompts={FUSION: "Score {sound}"}) if not hasattr(event, "stage")
    ]

    assert "{sound}" in failed.reason
    assert chat.asked == []


def test_a_scene_is_imagined_from_the_music_caption(chat: Any, acts: Any, settings: Settings) -> None:
    """The picture is not told."""
    chat.acts = [acts.say(GOOD)]

    made = caption(events(settings, MSI))

    assert made.evidence["imagined_from"] == "the music caption"
    assert HEARD.text in chat.prompts[0]
    assert SEEN.text not in chat.prompts[0]


def test_a_silent_video_gets_a_scene_that_is_marked(chat: Any, acts: Any, settings: Settings) -> None:
    """Imagined from the picture, because nothing was heard."""
    chat.acts = [acts.say(GOOD)]
    silent = Sources(SILENT, None, "it has no audio track")

    made = caption(events(settings, MSI, "llm-picture", sources=silent, known=CaptionSet([SEEN])))

    assert (made.evidence["imagined_from"], made.evidence["heard"]) == ("the picture", False)
    assert made.backend == "llm-picture"


def test_fusion_of_a_silent_video_says_what_would_help(settings: Settings, chat: Any) -> None:
    """Before anything is asked."""
    silent = Sources(SILENT, None, "it has no audio track")

    failed = {event.kind: event.reason for event in events(settings, FUSION, sources=silent, known=CaptionSet([SEEN]))}

    assert "reference track" in failed[MUSIC] + failed[FUSION]
    assert chat.asked == []


def test_a_missing_caption_is_named(chat: Any, settings: Settings) -> None:
    """For who calls the captioner without the pipeline."""
    captioner = Pipeline(settings).pool.captioner(find_captioner(FUSION, "llm"))

    with pytest.raises(MissingCaptionError, match="music caption"):
        list(captioner.describe(CaptionRequest(frozenset({FUSION}), captions=CaptionSet([SEEN])), Job()))


def test_all_backends_share_one_model(settings: Settings) -> None:
    """Its weights are in memory once."""
    options: Mapping[str, Any] = Pipeline(settings).pool.options

    assert options["llm"]["source"] is options["llm-picture"]["source"]


def test_without_settings_the_backend_says_what_to_do() -> None:
    """A listing reads it; nothing is loaded or fetched."""
    for kind, name in ((FUSION, "llm"), (MSI, "llm"), (MSI, "llm-picture")):
        source = ModelSource(Connection(model="nobody/nothing"))
        reason = Pool(options={name: {"source": source}}).why_unavailable(find_captioner(kind, name))
        assert reason is not None
        assert "MUSISCENE_LLM_URL" in reason


def test_a_scene_target_is_written_from_both_captions(chat: Any, acts: Any) -> None:
    """As the published training set was: its question, and provenance that names model, prompt and seed."""
    chat.acts = [acts.say("In the video, a man rides his bicycle through heavy rain, alone and slow.")]
    model = ModelSource(Connection(model="m-7b", url=chat.url)).get()

    target = scene_target(model, SEEN.text, HEARD.text, seed=4)

    assert target.text.startswith("In the video")
    assert target.prompt == chat.prompts[0]
    assert "Describe the video from the given video and music information." in target.prompt
    assert target.provenance["prompt_name"] == "scene-target/paper"
    assert target.provenance["seed"] == 4


def test_a_local_model_writes_captions_through_the_pipeline(tiny_model: Path, learned: str) -> None:
    """From the settings of a deployment to the finished card."""
    seen = list(events(Settings(llm_model=str(tiny_model)), FUSION))

    assert [event.caption.text for event in seen if isinstance(event, CaptionReady)] == [learned]
    assert [event.text for event in seen if isinstance(event, CaptionPart)][-1] == learned


def test_a_bad_prompt_is_an_error_of_the_request(chat: Any, settings: Settings) -> None:
    """For who calls the captioner without the pipeline."""
    captioner = Pipeline(settings).pool.captioner(find_captioner(FUSION, "llm"))

    with pytest.raises(RequestError, match="blank"):
        list(captioner.describe(CaptionRequest(frozenset({FUSION}), captions=KNOWN, prompts={FUSION: "Same."}), Job()))
