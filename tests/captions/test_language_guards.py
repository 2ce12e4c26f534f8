"""Refusals, echoes, copies and loops are recognised; good captions are not mistaken for them."""

import pytest

from musiscene.captions._language.guards import why_unusable
from musiscene.captions._language.prompts import find_template

FUSION = find_template("fusion/paper")
VIDEO, MUSIC = "A man rides a bicycle through rain.", "A slow, sad melody on a cello."


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("… !?", "empty"),
        ("Sad music.", "next to nothing"),
        ("I'm sorry, but I can't describe music that I have not heard.", "refused"),
        ("I’m unable to watch videos, so I cannot answer.", "refused"),
        ("As an AI language model, I do not have ears to hear with.", "refused"),
        ("Unfortunately, I cannot really provide a description of this.", "refused"),
        ("Describe the music from both video and music captions. It is slow.", "repeated the question"),
        (f"Video caption: {VIDEO} Music caption: {MUSIC}", "repeated the question"),
        (MUSIC, "copied"),
        (VIDEO.upper(), "copied"),
        (f"{VIDEO} {MUSIC}", "copied"),
        ("It is slow. " + "The music is calm and soft. " * 5, "over and over"),
        ("It is a long and winding sentence that says nothing new at all. " * 3 + "Then it is over.", "over and over"),
        ("na" * 40 + " and three more words", "over and over"),
    ],
)
def test_an_answer_that_is_none_is_recognised(text: str, why: str) -> None:
    """The reason can be read aloud after "The language model"."""
    reason = why_unusable(text, FUSION, [VIDEO, MUSIC])

    assert reason is not None
    assert why in reason


@pytest.mark.parametrize(
    "text",
    [
        "A slow, sad cello melody accompanies a man who rides a bicycle through the rain.",
        "The music in both captions is calm. The video shows a man, and the music follows him softly.",
        "A woman stands at a grave in the evening rain and whispers again and again, with a broken voice: I am sorry.",
        "It rises to create a sense of hope, falls to create a sense of loss, waits to create a sense of time, and in "
        "the last bars, when the choir comes in above the low brass and the drums have long been silent, it opens wide "
        "to create a sense of arrival that the picture of the harbour, with its lamps and its many people waiting on "
        "the quay, only confirms: in its own time, in its own colours, and without a single word that anybody says.",
        "Lonely and dark: the strings swell, fall, swell, fall, swell and fall, as if they could not decide to leave.",
    ],
)
def test_a_good_caption_passes(text: str) -> None:
    """Words that occur in refusals or in the question may occur in a scene."""
    assert why_unusable(text, FUSION, [VIDEO, MUSIC]) is None
