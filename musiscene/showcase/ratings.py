"""What people thought of the soundtracks, from a CSV file of the page or from its database."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from musiscene.errors import RequestError
from musiscene.showcase.reading import Shown, Track


@dataclass
class Ratings:
    """Scores of soundtracks. A rating counts where words, generator and seed are those of the soundtrack shown."""

    scores: dict[tuple[Any, ...], list[float]] = field(default_factory=dict)

    def add(self, row: Mapping[str, Any]) -> None:
        """Take one row of the ratings' table."""
        made = (str(row["caption_kind"]), str(row["caption_text"]), str(row["backend"]), int(row["seed"]))
        score = float(row["score"])
        if not 0 <= score <= 100:
            raise ValueError(f"a score of {score}")
        clip, name = str(row.get("clip_hash") or ""), Path(str(row.get("clip_name") or "")).stem
        for place in (("content", clip), ("name", name), *(() if clip else (("name alone", name),))):
            self.scores.setdefault((*place, *made), []).append(score)

    def of(self, shown: Shown, track: Track) -> list[float]:
        """The scores of one soundtrack; the clip is known by its content, and by its name where either lacks that."""
        text = shown.captions.get(track.kind, {}).get("text", "")
        made = (track.kind.value, text, track.facts.get("backend"), track.facts.get("seed"))
        if not shown.sha256:
            return self.scores.get(("name", shown.title, *made), [])
        own = self.scores.get(("content", shown.sha256, *made), [])
        return own + self.scores.get(("name alone", shown.title, *made), [])


def read_ratings(path: Path) -> Ratings:
    """The ratings in a CSV file (as the page exports it) or in a SQLite database (`ratings.db`).

    Raises:
        RequestError: It is neither.
    """
    if not path.is_file():
        raise RequestError(f"There is no file {path} with ratings.")
    found = Ratings()
    try:
        for row in _rows(path):
            found.add(row)
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise RequestError(f"{path} holds no ratings that can be read ({type(error).__name__}).") from None
    return found


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    if path.read_bytes()[:16].startswith(b"SQLite format 3"):
        import sqlite3
        from contextlib import closing

        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            try:
                rows = connection.execute("SELECT * FROM ratings").fetchall()
            except sqlite3.Error as error:
                raise ValueError(str(error)) from None
        yield from (dict(row) for row in rows)
    else:
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield from csv.DictReader(file)
