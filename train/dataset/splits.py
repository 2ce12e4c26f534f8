"""Splits without a leak: all clips of one video, and of videos that share a sound, lie in one split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from train.naming import digest


def split_by_group(groups: Sequence[str], shares: Mapping[str, float], seed: int) -> list[str]:
    """The split of each row.

    Groups are put into an order that depends on the seed and their names alone, and fill one split after the other;
    a group that would cross a border goes where more of it fits. Every split gets its share to within one group, and
    none is left empty while there are groups enough.

    Args:
        groups: What must stay together, for each row (its video id).
        shares: Split -> share of the rows; in this order.
        seed: Of the order.
    """
    sizes: dict[str, int] = {}
    for group in groups:
        sizes[group] = sizes.get(group, 0) + 1
    ordered = sorted(sizes, key=lambda group: digest("split", str(seed), group))
    names = list(shares)
    ends, total = [], 0.0
    for name in names:
        total += shares[name]
        ends.append(total * len(groups))
    split_of: dict[str, str] = {}
    place, done, inside = 0, 0, 0
    for number, group in enumerate(ordered):
        middle, left = done + sizes[group] / 2, len(ordered) - number
        while place < len(names) - 1 and inside and (middle > ends[place] or left <= len(names) - 1 - place):
            place, inside = place + 1, 0
        split_of[group] = names[place]
        done, inside = done + sizes[group], inside + 1
    return [split_of[group] for group in groups]


def joined(videos: Sequence[str], sounds: Sequence[str]) -> list[str]:
    """A group for each row: rows of one video, and rows of one sound (when it has a name), are in one group."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for video, sound in zip(videos, sounds, strict=True):
        if sound:
            one, other = sorted((root(f"video {video}"), root(f"sound {sound}")))
            parent[other] = one
    return [root(f"video {video}") for video in videos]
