"""An answer becomes one clean paragraph."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from musiscene.captions._language.cleaning import clean, split_sentences, whole_sentences

PLAIN = "The music is slow and sad. A cello leads; it doesn't hurry (about 60 bpm)."

MARKS = [
    "<s>", "</s>", "[INST]", "[/INST]", "<|im_end|>", "<think>", "</think>", "**", "*", "`", "```", "\n", "\n\n", "# ",
    "- ", "1. ", '"', "“", "”", "'", "Sure! ", "Here is the caption: ", "Answer: ", " Let me know if it helps.", ".",
    "\r", "\u2028", "\x00", "\ud800", "\u200b", "[a](b)", " ",
]  # fmt: skip
pieces = st.one_of(st.sampled_from(MARKS), st.text(max_size=12), st.sampled_from(PLAIN.split()))
answers = st.lists(pieces, max_size=14).map("".join)


@pytest.mark.parametrize(
    "answer",
    [
        PLAIN,
        f"  {PLAIN}\n",
        f"<s> [INST] Describe. [/INST]\n    {PLAIN}</s>",
        f"{PLAIN}<|im_end|>\n<|im_start|>user\nMore!",
        f"<think>\nThe user wants\n</think>\n\n{PLAIN}",
        f"The user wants music.</think>{PLAIN}",
        f"{PLAIN}\n<think>was that right",
        f'"{PLAIN}"',
        f"“{PLAIN}”",
        f"Sure! Here's the merged description:\n\n{PLAIN}",
        f"Certainly. Here is a short description of the music: {PLAIN}",
        f"**Fusion caption:** {PLAIN}",
        f"Music description: {PLAIN}",
        f"## Description\n\n{PLAIN}",
        f"```\n{PLAIN}\n```",
        f"{PLAIN} Let me know if you would like changes!",
        f"{PLAIN}\n\nI hope this helps. Feel free to ask.",
        f"QUESTION?\n{PLAIN}",
    ],
)
def test_what_chat_models_put_around_an_answer_is_taken_off(answer: str) -> None:
    """The words themselves stay as they are."""
    assert clean(answer, "QUESTION?") == PLAIN


@pytest.mark.parametrize(
    ("answer", "cleaned"),
    [
        ("Slow.\nSad.", "Slow. Sad."),
        ("The **cello** is *very* `soft`.", "The cello is very soft."),
        ("- slow tempo\n- sad mood\n- cello", "slow tempo. sad mood. cello."),
        ("1. Slow.\n2) Sad.", "Slow. Sad."),
        ("2 * 3 * 4 beats", "2 * 3 * 4 beats"),
        ("Here is a man who waits. He is alone.", "Here is a man who waits. He is alone."),
        ("Music: the food of love.", "the food of love."),
        ("He says \"go\" and she says \"no\"", "He says \"go\" and she says \"no\""),
        ("\"Go\", he says, \"now\"", "\"Go\", he says, \"now\""),
        ("see [the page](http://x.example)", "see the page"),
        ("tab\tand\u2028line\x00\ud800", "tab and line"),
        ("", ""),
        ("</s>", ""),
    ],
)  # fmt: skip
def test_markdown_and_line_ends_become_plain_words(answer: str, cleaned: str) -> None:
    """A list becomes sentences, a line end a space, and meant characters stay."""
    assert clean(answer) == cleaned


@given(answers, st.sampled_from(["", "What do you hear?"]))
@example("<think><think></think>", "")
@example("Sure! Sure! Here is: Answer: x", "")
def test_a_clean_answer_is_one_line_of_visible_characters(answer: str, prompt: str) -> None:
    """And can be written to any file."""
    cleaned = clean(answer, prompt)

    assert cleaned == " ".join(cleaned.split())
    assert not any(unicodedata.category(char).startswith("C") for char in cleaned)
    assert not any(mark in cleaned for mark in ("<s>", "</s>", "[/INST]", "<|im_end|>", "<think>"))
    assert cleaned.encode("utf-8")[:0] == b""


@given(answers)
def test_cleaning_twice_changes_nothing(answer: str) -> None:
    """What is clean stays as it is."""
    assert clean(clean(answer)) == clean(answer)


@given(
    st.lists(
        st.sampled_from(["Slow", "strings", "rise", "and", "a", "cello", "sings,", "softly"]), min_size=2, max_size=30
    )
)
def test_plain_sentences_stay_as_they_are(words: list[str]) -> None:
    """Nothing is lost from ordinary prose."""
    text = f"The {' '.join(words)} end."

    assert clean(text) == text


@given(answers.map(clean))
def test_a_cut_answer_ends_with_a_whole_sentence(text: str) -> None:
    """It is the beginning of what there was, or has an ellipsis."""
    kept = whole_sentences(text)

    assert text.startswith(kept) or kept.endswith("…")
    assert bool(kept) == bool(text)


def test_a_cut_sentence_is_dropped_when_another_is_whole() -> None:
    """A number's point ends no sentence."""
    assert whole_sentences("It is at 3.5 beats. Then it") == "It is at 3.5 beats."
    assert whole_sentences("It is at 3.5 beats and") == "It is at 3.5 beats and…"


@given(answers.map(clean))
def test_sentences_together_are_the_text(text: str) -> None:
    """None is lost."""
    assert " ".join(" ".join(split_sentences(text)).split()) == text
