"""From ids to a sentence, as the authors' tokeniser (WordPiece of bert-base-uncased) writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from musiscene.errors import BackendUnavailableError
from musiscene.networks.swinbert.config import SwinBertConfig

_TIDY = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" do not", " don't"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)
"""In this order: it is part of what published captions look like."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Word pieces by id, and the ids that are no words."""

    pieces: tuple[str, ...]
    marks: frozenset[int]

    @classmethod
    def read(cls, path: Path, config: SwinBertConfig) -> Vocabulary:
        """Read `vocab.txt`, one piece a line.

        Raises:
            BackendUnavailableError: It cannot be read, or belongs to another model.
        """
        try:
            pieces = tuple(path.read_text(encoding="utf-8").rstrip("\n").split("\n"))
        except (OSError, UnicodeDecodeError) as error:
            raise BackendUnavailableError(f"The vocabulary {path} cannot be read: {error}.") from error
        if len(pieces) != config.bert.vocab_size:
            raise BackendUnavailableError(
                f"The vocabulary {path} has {len(pieces)} entries, but the weights know {config.bert.vocab_size} words."
            )
        return cls(pieces, frozenset((config.pad_id, config.unk_id, config.cls_id, config.sep_id, config.mask_id)))

    def decode(self, ids: Sequence[int]) -> str:
        """The sentence that `ids` stand for, without marks."""
        text = " ".join(self.pieces[i] for i in ids if i not in self.marks).replace(" ##", "").strip()
        for old, new in _TIDY:
            text = text.replace(old, new)
        return text
