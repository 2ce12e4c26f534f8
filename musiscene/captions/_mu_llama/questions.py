"""What the music is asked: the questions of MusiScene's own scripts, word for word, as the weights know them."""

from __future__ import annotations

DESCRIBE = "Describe elements of the music, such as its mood, rhythm, and genre"
"""The paper's music caption."""
INSTRUMENTS = "What are the instruments used? "
EMOTION = "What is the emotion?"
SCENE = "Example of scene that suit this music"
"""The scene that the music evokes; also what a MusiScene adapter is asked."""

ASIDE = (INSTRUMENTS, EMOTION)
"""Asked in the same batch as the music caption and kept as its evidence; the batch makes them nearly free."""

SUGGESTED = (
    "Describe musical features from this audio in detail",
    "Describe what you hear",
    "What is the genre of this music?",
    "What is the tempo?",
    "What is the key of the piece?",
    "What is the context? What type of videos are suitable with this music?",
)
"""Openers for a person who wants to ask something."""
