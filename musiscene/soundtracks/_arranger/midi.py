"""Writes a piece as a standard MIDI file, format 1.

Source: "The Complete MIDI 1.0 Detailed Specification", Standard MIDI Files 1.0 (1996).
"""

from __future__ import annotations

import struct

import numpy as np

from musiscene.soundtracks._arranger.piece import Part, Piece, swell_shape
from musiscene.soundtracks._arranger.theory import signature_fifths

TICKS_PER_QUARTER = 480
_DRUM_CHANNEL = 9
Event = tuple[int, int, bytes]
"""Tick, order within the tick, message."""


def write(piece: Piece) -> bytes:
    """The file's bytes: a track of tempo, time and key signatures and markers, then one track for each part."""
    last = _last_tick(piece)
    channels = [channel for channel in range(16) if channel != _DRUM_CHANNEL]
    tracks = [_conductor(piece, last)]
    melodic = 0
    for part in piece.parts:
        if part.drums:
            channel = _DRUM_CHANNEL
        else:
            channel = channels[melodic % len(channels)]
            melodic += 1
        tracks.append(_track(part, piece, channel, last))
    header = b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), TICKS_PER_QUARTER)
    return header + b"".join(tracks)


def _tick(piece: Piece, beat: float) -> int:
    """Ticks count from the start of the sound: what comes before the first downbeat is at the first tempo."""
    origin = piece.clock.beat_at(0.0)
    return max(0, round((beat - origin) * piece.meter.quarters_per_beat * TICKS_PER_QUARTER))


def _last_tick(piece: Piece) -> int:
    return _tick(piece, piece.clock.beat_at(piece.duration_s))


def _conductor(piece: Piece, last: int) -> bytes:
    numerator, denominator = (int(number) for number in piece.meter.name.split("/"))
    clocks = round(24 * piece.meter.quarters_per_beat)
    signature = _meta(0x58, bytes([numerator, denominator.bit_length() - 1, clocks, 8]))
    events: list[Event] = [
        (0, 0, _meta(0x03, piece.title.encode())),
        (0, 1, signature),
    ]
    for number, (beat, tonic, mode) in enumerate(piece.keys or ((0.0, piece.tonic, piece.mode),)):
        fifths, minor = signature_fifths(tonic, mode)
        key = _meta(0x59, struct.pack(">bB", fifths, int(minor)))
        events.append((_tick(piece, beat) if number else 0, 2, key))
    downbeat = _tick(piece, 0.0)
    if downbeat > 0:  # a first bar that is cut short: the bars count from the first downbeat
        events.append((downbeat, 1, signature))
    for number, (beat, bpm) in enumerate(piece.clock.tempi()):
        microseconds = round(60e6 / (bpm * piece.meter.quarters_per_beat))
        tick = _tick(piece, beat) if number else 0
        events = [event for event in events if not (event[0] == tick and event[1] == 3)]
        events.append((tick, 3, _meta(0x51, min(microseconds, 0xFFFFFF).to_bytes(3, "big"))))
    events += [(_tick(piece, beat), 4, _meta(0x06, name.encode())) for beat, name in piece.markers]
    return _chunk(events, last)


def _track(part: Part, piece: Piece, channel: int, last: int) -> bytes:
    events: list[Event] = [
        (0, 0, _meta(0x03, part.name.encode())),
        (0, 1, bytes([0xC0 | channel, part.program])),
        (0, 2, bytes([0xB0 | channel, 7, max(1, min(127, round(100 * 10 ** (part.gain_db / 40))))])),
        (0, 3, bytes([0xB0 | channel, 10, max(0, min(127, round(64 + 63 * part.pan)))])),
        (0, 4, bytes([0xB0 | channel, 91, max(0, min(127, round(127 * part.reverb)))])),
    ]
    if part.swell:
        beats = np.arange(0.0, piece.clock.beat_at(piece.duration_s), 1.0)
        for beat, shape in zip(beats, swell_shape(beats / piece.meter.beats), strict=True):
            level = 10.0 ** (part.swell * float(shape) / 40.0)  # controllers follow 40 log10, as velocity does
            events.append((_tick(piece, float(beat)), 4, bytes([0xB0 | channel, 11, round(127 * level)])))
    sounding: dict[int, int] = {}
    for note in sorted(part.notes):
        start = _tick(piece, note.beat)
        end = min(last, max(start + 1, _tick(piece, note.beat + note.length)))
        if start >= last:
            continue
        # One key of one channel can sound only once: a new note ends the old one.
        if sounding.get(note.pitch, -1) > start:
            old = (sounding[note.pitch], 5, bytes([0x80 | channel, note.pitch, 64]))
            if old in events:
                events.remove(old)
                events.append((start, 5, old[2]))
        sounding[note.pitch] = end
        events.append((start, 6, bytes([0x90 | channel, note.pitch, note.velocity])))
        events.append((end, 5, bytes([0x80 | channel, note.pitch, 64])))
    return _chunk(events, last)


def _chunk(events: list[Event], last: int) -> bytes:
    body = bytearray()
    now = 0
    for tick, _, message in sorted(events):
        body += _variable(tick - now) + message
        now = tick
    body += _variable(max(0, last - now)) + b"\xff\x2f\x00"
    return b"MTrk" + struct.pack(">I", len(body)) + bytes(body)


def _meta(kind: int, content: bytes) -> bytes:
    return bytes([0xFF, kind]) + _variable(len(content)) + content


def _variable(value: int) -> bytes:
    """Seven bits a byte, most significant first; all but the last have the high bit."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(0x80 | (value & 0x7F))
    return bytes(reversed(groups))
