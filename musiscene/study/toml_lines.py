"""On which line of a TOML file a key stands: `tomllib` forgets it, and a message about a design needs it."""

from __future__ import annotations

import re

Key = tuple[str | int, ...]

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?$")
_NAME = r"""(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)"""
_ASSIGNMENT = re.compile(rf"^\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*=")
_PART = re.compile(r""""([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+)""")
_STRINGS = re.compile(r'"""|\'\'\'|"(?:\\.|[^"\\])*"|\'[^\']*\'|#.*')


def key_lines(text: str) -> dict[Key, int]:
    """Line numbers, from 1, of every table header and assignment of `text`; entries of `[[x]]` are ("x", 0), …"""
    lines: dict[Key, int] = {}
    counts: dict[Key, int] = {}
    table: Key = ()
    open_quote = ""
    depth = 0
    for number, line in enumerate(text.splitlines(), start=1):
        inside = bool(open_quote) or depth > 0
        if not inside:
            if header := _HEADER.match(line):
                table = _parts(header[2])
                if header[1] == "[[":
                    index = counts.get(table, 0)
                    counts[table] = index + 1
                    table = (*table, index)
                lines.setdefault(table, number)
                continue
            if assignment := _ASSIGNMENT.match(line):
                key = (*table, *_parts(assignment[1]))
                for length in range(len(table) + 1, len(key) + 1):
                    lines.setdefault(key[:length], number)
        open_quote, depth = _after(line, open_quote, depth)
    return lines


def line_of(lines: dict[Key, int], key: Key) -> int:
    """Line of `key`, or of the nearest table or array that it is (missing) in; 1 for the file itself."""
    while key and key not in lines:
        key = key[:-1]
    return lines.get(key, 1)


def _parts(dotted: str) -> Key:
    return tuple(next(group for group in match.groups() if group is not None) for match in _PART.finditer(dotted))


def _after(line: str, open_quote: str, depth: int) -> tuple[str, int]:
    """Whether a multi-line string or array is still open at the end of `line`."""
    at = 0
    while at < len(line):
        if open_quote:
            end = line.find(open_quote, at)
            if end < 0:
                return open_quote, depth
            at, open_quote = end + 3, ""
            continue
        token = _STRINGS.match(line, at)
        if token:
            if token[0] in ('"""', "'''"):
                open_quote = token[0]
            at = token.end()
            continue
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(line[at], 0)
        at += 1
    return open_quote, max(0, depth)
