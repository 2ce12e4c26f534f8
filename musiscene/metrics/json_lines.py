"""JSON Lines: one object on each line of a text file in UTF-8."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from musiscene.errors import RequestError


def read_objects(path: Path, example: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file with the numbers of their lines, from 1; empty lines are passed over.

    Args:
        path: The file.
        example: What a line looks like, for the message.

    Raises:
        RequestError: The file cannot be read, or a line is no object; the message names it.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # a text may hold other separators of lines
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise RequestError(f"{path} is not a text file in UTF-8; lines like {example} are expected.") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise RequestError(f"Line {number} of {path} is not JSON; lines like {example} are expected.") from error
        if not isinstance(found, dict):
            raise RequestError(f"Line {number} of {path} is not an object like {example}.")
        yield number, found
