"""Frames: what is written on one machine is read on another, and nothing else is."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musiscene.remote.frames import MAX_PAYLOAD_BYTES, FrameError, FrameReader, frame, pieces

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@pytest.mark.slow(seconds=2)
@given(
    st.lists(st.tuples(st.dictionaries(st.text(max_size=5), JSON, max_size=3), st.binary(max_size=50)), max_size=5),
    st.lists(st.integers(1, 30), min_size=1, max_size=10),
)
def test_frames_arrive_as_they_were_sent(sent: list[tuple[dict[str, object], bytes]], cuts: list[int]) -> None:
    """However the network cuts them."""
    stream = b"".join(frame(document, payload) for document, payload in sent)
    reader, found, at, turn = FrameReader(), [], 0, 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        found += list(reader.push(stream[at : at + size]))
        at, turn = at + size, turn + 1
    reader.finish()
    assert found == sent


def test_long_sound_travels_in_pieces() -> None:
    """None longer than a frame takes, all of it together."""
    sound = memoryview(np.arange(MAX_PAYLOAD_BYTES // 2, dtype="<f4")).cast("B")
    parts = list(pieces(sound))
    assert [len(part) for part in parts] == [MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES]
    assert b"".join(parts) == bytes(sound)
    with pytest.raises(FrameError):
        frame({}, sound)


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">II", 2**31, 0),
        struct.pack(">II", 2, 2**31),
        struct.pack(">II", 3, 0) + b"[1]",
        struct.pack(">II", 2, 0) + b"\xff{",
        struct.pack(">II", 20_000, 0) + b"[" * 20_000,
    ],
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    """Lengths beyond any of ours, no JSON, no document, JSON that is too deep."""
    with pytest.raises(FrameError):
        list(FrameReader().push(data))


def test_half_a_frame_is_no_end() -> None:
    """A stream that breaks off is told from one that ends."""
    reader = FrameReader()
    list(reader.push(frame({"event": "end"})[:-1]))
    with pytest.raises(FrameError):
        reader.finish()
