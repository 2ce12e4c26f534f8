"""WordNet's synonyms for METEOR, read from the files that are on this machine.

NLTK's data and Debian's `wordnet-base` hold the same files of Princeton's WordNet 3.0. NLTK's own reader wants two
more files that Debian does not package, and refuses folders outside its data path; METEOR only asks for synonyms, so
they are read here.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

DEBIAN = Path("/usr/share/wordnet")
HOW_TO_GET = (
    "METEOR needs WordNet, which is not on this machine: `apt-get install wordnet-base` brings it, or "
    "`python -m nltk.downloader wordnet`. The other metrics do not depend on it."
)

# Parts of speech and their endings: section "Morphy" of WordNet's manual, morphy(7WN).
_ENDINGS: dict[str, tuple[tuple[str, str], ...]] = {
    "noun": (("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"),
             ("men", "man"), ("ies", "y")),
    "verb": (("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lemma:
    """A word of a set of synonyms."""

    word: str

    def name(self) -> str:
        """The word; several words are joined by underscores."""
        return self.word


@dataclass(frozen=True, slots=True)
class Synset:
    """A set of synonyms."""

    words: tuple[str, ...]

    def lemmas(self) -> list[Lemma]:
        """Its words."""
        return [Lemma(word) for word in self.words]


class WordNet:
    """Looks words up as NLTK's reader does, as far as METEOR needs it.

    Args:
        source: Where the files are, in words.
        read: Gives the content of a file by name.
    """

    def __init__(self, source: str, read: Callable[[str], bytes]) -> None:
        self.source = source
        self._data = {part: read(f"data.{part}") for part in _ENDINGS}
        self._index = {part: _index(read(f"index.{part}")) for part in _ENDINGS}
        self._exceptions = {part: _exceptions(read(f"{part}.exc")) for part in _ENDINGS}
        self._at = lru_cache(maxsize=50_000)(self._read_synset)

    def synsets(self, word: str) -> list[Synset]:
        """Every set of synonyms that `word`, or its base form, belongs to."""
        word = word.lower()
        return [
            self._at(part, offset)
            for part in _ENDINGS
            for form in self._forms(word, part)
            for offset in self._index[part].get(form, ())
        ]

    def _forms(self, word: str, part: str) -> list[str]:
        irregular = self._exceptions[part].get(word)
        if irregular is None:
            irregular = [word[: -len(old)] + new for old, new in _ENDINGS[part] if word.endswith(old)]
        return [form for form in dict.fromkeys([word, *irregular]) if form in self._index[part]]

    def _read_synset(self, part: str, offset: int) -> Synset:
        data = self._data[part]
        fields = data[offset : data.index(b"\n", offset)].decode("utf-8").split(" ")
        count = int(fields[3], 16)
        return Synset(tuple(re.sub(r"\(.*\)$", "", word) for word in fields[4 : 4 + 2 * count : 2]))


class NoSynonyms:
    """A WordNet that knows no word: METEOR then matches words and stems only."""

    source = "none"

    def synsets(self, word: str) -> list[Synset]:
        """None for any word."""
        return []


@cache
def find_wordnet(folder: Path | None = None) -> WordNet | None:
    """The WordNet that is on this machine; None when there is none.

    Args:
        folder: Where to look; NLTK's data folders, then Debian's, when None.
    """
    if folder is not None:
        return WordNet(str(folder), lambda name: (folder / name).read_bytes()) if _complete(folder) else None
    import nltk.data

    for root in map(Path, filter(None, nltk.data.path)):
        for inside in (root / "corpora" / "wordnet", root / "corpora" / "wordnet.zip"):
            if _complete(inside):
                return find_wordnet(inside)
            if inside.suffix == ".zip" and inside.is_file():
                with zipfile.ZipFile(inside) as archive:
                    return WordNet(str(inside), lambda name, archive=archive: archive.read(f"wordnet/{name}"))  # type: ignore[misc]
    return find_wordnet(DEBIAN)


def _complete(folder: Path) -> bool:
    return all((folder / name).is_file() for part in _ENDINGS for name in (f"data.{part}", f"index.{part}"))


def _index(content: bytes) -> dict[str, tuple[int, ...]]:
    index = {}
    for line in content.decode("utf-8").splitlines():
        if not line.startswith("  "):  # the licence
            fields = line.split()
            index[fields[0]] = tuple(map(int, fields[-int(fields[2]) :]))
    return index


def _exceptions(content: bytes) -> dict[str, list[str]]:
    lines = (line.split() for line in content.decode("utf-8").splitlines())
    return {fields[0]: fields[1:] for fields in lines if fields}
