"""How much of a caption a music generator reads, and a short brief for captions longer than that.

MusicGen's text encoder is T5 (Copet et al. 2023, section 2.3). Its positions are relative, so nothing is cut by
force, but the descriptions that such generators were trained and tested with are short: a MusicCaps description is
typically four sentences (Agostinelli et al. 2023), well under 100 tokens, while the published fusion captions have
128 words on average and up to 385. What comes after 128 tokens is therefore marked as read less well, and a brief is
offered.
"""

from __future__ import annotations

import re

from musiscene.captions._language.asking import Waits, ask
from musiscene.captions._language.cleaning import split_sentences
from musiscene.captions._language.model import LanguageModel, LanguageModelError, Sampling
from musiscene.captions._language.prompts import list_templates
from musiscene.types import Job

READ_TOKENS = 128
BRIEF_WORDS = 60

_PIECE = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_")
_MUSIC = re.compile(
    r"\b(?:music\w*|melod\w*|harmon\w*|chord\w*|rhythm\w*|beat\w*|tempo|bpm|slow\w*|fast\w*|upbeat|groov\w*|bass\w*|drum\w*|"
    r"percussi\w*|guitar\w*|piano\w*|string\w*|violin\w*|cello\w*|brass|trumpet\w*|horn\w*|flute\w*|woodwind\w*|synth\w*|"
    r"choir\w*|vocal\w*|voice\w*|sing\w*|orchestra\w*|acoustic|electr\w*|ambient|jazz\w*|rock|pop|folk|classical|blues|"
    r"cinematic|minor|major|key|crescendo\w*|build\w*|swell\w*|quiet\w*|loud\w*|soft\w*|gentle|mellow|calm\w*|energetic|"
    r"lively|melanchol\w*|sad\w*|happy|cheerful|tense|tension|dark|bright|dreamy|romantic|epic|mood\w*|instrument\w*)\b",
    re.IGNORECASE,
)


def reading_limit(text: str, tokens: int = READ_TOKENS) -> int | None:
    """Index of the character up to which `text` is read well; None when all of it is.

    T5's pieces are estimated: a word of up to ten letters is one, six further letters one more; two digits or a mark of
    punctuation one; one is kept for the end. Words of T5's vocabulary that are longer make this err on the short side.
    """
    used = 1
    end = 0
    for piece in _PIECE.finditer(text):
        size = len(piece[0])
        used += (size + 1) // 2 if piece[0].isdigit() else 1 + max(0, size - 10 + 5) // 6
        if used > tokens:
            return end
        end = piece.end()
    return None


def shorten(text: str, words: int = BRIEF_WORDS) -> str:
    """The sentences of `text` that say most about sound, in their order, in at most `words` words.

    Without a sentence that short, the beginning of the best one is taken, up to the last comma if there is one.
    """
    sentences = split_sentences(" ".join(text.split()))
    ranked = sorted(range(len(sentences)), key=lambda i: (-_density(sentences[i]), i))
    taken: set[int] = set()
    left = words
    for index in ranked:
        size = len(sentences[index].split())
        if size <= left and (not taken or _MUSIC.search(sentences[index])):
            taken.add(index)
            left -= size
    if taken:
        return " ".join(sentences[index] for index in sorted(taken))
    if not sentences:
        return ""
    start = " ".join(sentences[ranked[0]].split()[:words])
    clause = start.rpartition(",")[0]
    return (clause if len(clause) > len(start) // 2 else start).rstrip(" ,;:.") + "."


def music_brief(
    model: LanguageModel, caption: str, *, sampling: Sampling, seed: int, job: Job, waits: Waits | None = None
) -> tuple[str, str]:
    """A brief of at most 60 words from `caption`, and who wrote it: "language model" or "best sentences".

    The model is asked once more; an answer that is unusable or too long is replaced by the caption's best sentences.

    Raises:
        Stopped: `job` was stopped.
    """
    template = list_templates("brief")[0]
    values = {"caption": caption, "words": str(BRIEF_WORDS)}
    try:
        answer = ask(model, template, values, sampling=sampling, seed=seed, job=job, waits=waits or Waits(tries=1))
    except LanguageModelError:
        return shorten(caption), "best sentences"
    if len(answer.text.split()) > BRIEF_WORDS:
        return shorten(answer.text), "language model, shortened"
    return answer.text, "language model"


def _density(sentence: str) -> float:
    """Words about sound per word; a sentence of many short words does not win by its length."""
    return len(_MUSIC.findall(sentence)) / (4 + len(sentence.split()))
