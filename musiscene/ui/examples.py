"""The example clips that the page offers."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_log = logging.getLogger(__name__)

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "examples"
"""Where a checkout keeps them; an installed package has none."""


@dataclass(frozen=True, slots=True)
class Example:
    """A clip to try.

    Attributes:
        path: The file.
        title: What it is called.
        kind: "video" or "track".
        about: One sentence on what is in it.
        translations: Code of a language -> its "title" and "about" there; what is missing is told in English.
    """

    path: Path
    title: str
    kind: str
    about: str
    translations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def title_in(self, language: str) -> str:
        """What it is called in that language."""
        return str(self.translations.get(language, {}).get("title", self.title))

    def about_in(self, language: str) -> str:
        """What is in it, in that language."""
        return str(self.translations.get(language, {}).get("about", self.about))


def find_examples(folder: Path = FOLDER) -> Mapping[str, Example]:
    """The examples that `folder/examples.json` lists and that are there, by file name."""
    try:
        listed = json.loads((folder / "examples.json").read_text("utf-8"))
        found = [
            Example(
                folder / str(e["file"]),
                str(e["title"]),
                str(e["kind"]),
                str(e["about"]),
                dict(e.get("translations", {})),
            )
            for e in listed
        ]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("the examples cannot be listed: %s", error)
        return {}
    return {example.path.name: example for example in found if example.path.is_file()}
