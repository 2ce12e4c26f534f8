"""What is caught in answers, and what is kept of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musiscene.captions._mu_llama import guards
from musiscene.captions._mu_llama.questions import DESCRIBE, EMOTION, SCENE

GOOD = [
    "The music is calm and slow. A piano plays a simple melody over soft strings. It could be used in a film.",
    "C major",
    "The emotion is happy and energetic.",
    "The music is electronic, with a fast tempo, a driving beat, bright synths and a deep bass that enters late.",
    "A scene of a couple walking on the beach at sunset, holding hands, laughing, with waves in the background.",
    "The mood of the music is sad. The rhythm of the music is slow. The genre of the music is classical.",
]


@pytest.mark.parametrize("text", GOOD)
def test_good_answers_pass(text: str) -> None:
    """Nothing is wrong with them, and cleaning changes nothing."""
    assert guards.trouble(text, DESCRIBE) == ""
    assert guards.cleaned(text, DESCRIBE) == text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "is empty"),
        ("  \n ...", "is empty"),
        ("### Instruction:\nDescribe", "repeats the question"),
        ("Calm music. ### Response: calm music", "repeats the question"),
        (f"{SCENE}: a beach.", "repeats the question"),
        ("Below is an instruction that describes a task", "repeats the question"),
        ("It is sad. It is sad. It is sad. It is sad.", "repeats itself"),
        ("slow slow slow slow slow slow", "repeats itself"),
        ("The piano, the guitar and the bass, " * 6, "repeats itself"),
        ("The input is a song with a calm mood.", "is about the input and not about the music"),
        ("As an AI language model I cannot hear.", "is about the input and not about the music"),
        ("I'm sorry, but no music was given.", "is about the input and not about the music"),
    ],
)
def test_what_people_complain_of_is_found(text: str, found: str) -> None:
    """Each kind is named, as the end of a sentence."""
    assert guards.trouble(text, SCENE) == found


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("It is sad. It is sad. It is slow. It is sad.", "It is sad. It is slow."),
        ("Calm music.\n\n### Instruction:\nDescribe", "Calm music."),
        (f"{SCENE}: a beach at night.", "a beach at night."),
        ("a piano, a violin, a piano, a violin, a piano, a violin, a piano, a violin", "a piano, a violin"),
        ("\ufffd Soft\x00 strings.", "Soft strings."),
        ("", ""),
    ],
)
def test_the_usable_part_is_kept(text: str, kept: str) -> None:
    """Marks, echoes, repetitions and broken characters go; the rest stays."""
    assert guards.cleaned(text, SCENE) == kept


@given(st.text(max_size=200))
def test_cleaning_never_fails_and_settles(text: str) -> None:
    """Any text can be cleaned, and cleaning twice is cleaning once, up to what the second sees anew."""
    once = guards.cleaned(text, EMOTION)
    assert len(guards.cleaned(once, EMOTION)) <= len(once) <= max(len(text), 1)
    assert once.isprintable()


def test_loops_are_seen_while_they_are_written() -> None:
    """A short period over many tokens is a loop; varied tokens, or few, are not."""
    assert guards.is_looping([5, 6, 7] * 30)
    assert guards.is_looping([1, 2, 3, 4, *[9] * 80])
    assert not guards.is_looping([9] * 20)
    assert not guards.is_looping(list(range(200)))


def test_an_answer_that_was_cut_off_ends_at_its_last_sentence() -> None:
    """Half a sentence is dropped, unless it is all there is."""
    assert guards.finished("It is calm. It is slo") == "It is calm."
    assert guards.finished("It is about 3.5 min") == "It is about 3.5 min"
