"""How much of a caption is read, and the brief for longer ones."""

from hypothesis import given
from hypothesis import strategies as st

from musiscene.captions._language.brief import BRIEF_WORDS, READ_TOKENS, reading_limit, shorten

PICTURE = "A man walks along a concrete platform and looks at the clock above him."
SOUND = "A slow piano melody in a minor key rises over soft strings, calm and melancholic."
texts = st.lists(
    st.sampled_from([PICTURE, SOUND, "It rains.", "One, two,", "wonderfully" * 3, "1234"]), max_size=40
).map(" ".join)


def test_a_short_caption_is_read_whole() -> None:
    """Two sentences have no limit to show."""
    assert reading_limit(f"{PICTURE} {SOUND}") is None


def test_a_long_caption_shows_where_it_is_read_until() -> None:
    """About 128 tokens in, at the end of a word."""
    text = " ".join([PICTURE, SOUND] * 8)
    until = reading_limit(text)

    assert until is not None
    assert text[until] == " "
    assert 90 <= len(text[:until].split()) <= READ_TOKENS


@given(texts)
def test_what_is_within_the_limit_is_read_whole(text: str) -> None:
    """The limit is stable: the part before it has none of its own, and it lies inside the text."""
    until = reading_limit(text)

    if until is not None:
        assert 0 < until < len(text)
        assert reading_limit(text[:until]) is None


def test_the_brief_keeps_what_is_about_sound() -> None:
    """The picture goes first."""
    brief = shorten(" ".join([PICTURE, SOUND, *["The street is empty and the lamps are lit everywhere tonight."] * 6]))

    assert SOUND in brief
    assert PICTURE not in brief


def test_one_endless_sentence_is_cut_at_a_comma() -> None:
    """The brief still ends like a sentence."""
    brief = shorten("A slow piano, " + "soft strings and a very calm mood, " * 20)

    assert brief.endswith("mood.")
    assert len(brief.split()) <= BRIEF_WORDS


@given(texts, st.integers(5, 80))
def test_a_brief_is_never_longer_than_asked(text: str, words: int) -> None:
    """And is not empty unless the text is."""
    brief = shorten(text, words)

    assert len(brief.split()) <= words
    assert bool(brief) == bool(text.strip())
