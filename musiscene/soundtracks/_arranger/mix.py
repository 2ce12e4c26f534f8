"""From a piece to stereo sound: instruments balanced, placed, put in a room, and kept from clipping."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.fft import irfft, rfft
from scipy.signal import lfilter

from musiscene.soundtracks._arranger.grooves import KICK
from musiscene.soundtracks._arranger.piece import Part, Piece, swell_shape
from musiscene.soundtracks._arranger.sampler import HALF_RATE, SAMPLE_RATE, PlayedNote, Sampler
from musiscene.types import Job

ROOMS: dict[str, tuple[float, float, float]] = {
    "dry": (0.5, 0.008, 6000.0),
    "room": (0.9, 0.012, 6500.0),
    "hall": (2.0, 0.025, 5500.0),
    "cathedral": (3.6, 0.04, 4200.0),
    "plate": (1.4, 0.005, 8000.0),
}
"""Reverberation time for 60 dB in seconds, pre-delay in seconds, and where the treble is damped, in Hz."""

_TARGET_RMS = 0.06
_REFERENCE_PITCHES: tuple[int, ...] = (50, 57, 64, 71)
_BASS_PITCHES = (36, 41, 45)
_DRUM_PITCHES = (36, 38, 42)
_DRUMS_BACK_DB = 2.5
"""Drums ring little in the 0.6 s by which instruments are balanced, so that the measure puts them too far in front."""
_PEAK = 0.89
_BLOCK = 1 << 18
_HOP = 32
"""Gains change every so many samples, in steps too small to hear."""
_FLOAT = np.float32
Stereo = NDArray[np.float32]
Mono = NDArray[np.float32]


def render(piece: Piece, sampler: Sampler, job: Job) -> Stereo:
    """The sound of a piece, shape (2, samples), exactly `duration_s` long, with its peak at most at -1 dB.

    Raises:
        Stopped: `job` was stopped.
    """
    samples = round(piece.duration_s * SAMPLE_RATE)
    buses = {rate: _Bus(-(-samples * rate // SAMPLE_RATE)) for rate in (SAMPLE_RATE, HALF_RATE)}
    dips = _dips(piece, samples)
    for number, part in enumerate(piece.parts):
        job.progress(0.1 + 0.7 * number / max(1, len(piece.parts)), f"Playing {part.name.lower()}")
        if not part.notes:
            continue
        rate = sampler.rate(part.program, (note.pitch for note in part.notes), drums=part.drums)
        bus = buses[rate]
        sound = _instrument(part, piece, sampler, bus.samples, rate, job)
        if dips is not None and not part.drums:
            _follow(sound, dips, job, _HOP * rate // SAMPLE_RATE)
        bus.add(sound, _sides(part, sampler), part.reverb, job)
    job.progress(0.82, "Mixing")
    half, mixed = buses[HALF_RATE], buses[SAMPLE_RATE].mixed
    half.send += _in_blocks(buses[SAMPLE_RATE].send[None], 2, 1, job)[0, : half.samples]
    _reverberate(half.send, half.mixed, piece.room, job)
    for side in (0, 1):
        mixed[side] += _in_blocks(half.mixed[side : side + 1], 1, 2, job)[0, :samples]
    _high_pass(mixed, job)
    gain = _bus_gain(mixed, job) * _levels(piece, samples)
    peak = 0.0
    _follow(mixed, gain, job)
    for block in _blocks(samples, job):
        peak = max(peak, float(np.max(np.abs(mixed[:, block]), initial=0.0)))
    _soften_ends(mixed, piece.duration_s - piece.last_chord_s)
    if peak > 0.0:
        for block in _blocks(samples, job):
            mixed[:, block] *= _FLOAT(_PEAK / peak)
    return mixed


class _Bus:
    """Where parts of one sample rate come together, and what of them goes to the room."""

    def __init__(self, samples: int) -> None:
        self.samples = samples
        self.mixed = np.zeros((2, samples), dtype=_FLOAT)
        self.send = np.zeros(samples, dtype=_FLOAT)

    def add(self, sound: Stereo, gains: tuple[np.float32, np.float32], reverb: float, job: Job) -> None:
        """Add a part, shape (1 or 2, samples), with its gains of both sides and its share of the room."""
        for block in _blocks(self.samples, job):
            for side in (0, 1):
                self.mixed[side, block] += sound[side % len(sound), block] * gains[side]
                if side < len(sound):
                    share = gains[side] if len(sound) == 2 else gains[0] + gains[1]
                    self.send[block] += sound[side, block] * _FLOAT(0.5 * reverb * share)


def _blocks(samples: int, job: Job) -> Iterator[slice]:
    """Stretches of a few seconds; between them the work can be stopped."""
    for start in range(0, samples, _BLOCK):
        job.check()
        yield slice(start, min(samples, start + _BLOCK))


def _instrument(part: Part, piece: Piece, sampler: Sampler, samples: int, rate: int, job: Job) -> Stereo:
    at = piece.clock.at
    notes = []
    for note in part.notes:
        start = max(0.0, at(note.beat))
        notes.append(PlayedNote(start, max(0.02, at(note.beat + note.length) - start), note.pitch, note.velocity))
    sound = sampler.render(notes, part.program, samples, drums=part.drums, rate=rate, check=job.check)
    if part.swell:
        _follow(sound, _swell(part, piece), job, _HOP * rate // SAMPLE_RATE)
    return sound


def _follow(sound: Stereo, gain: Mono, job: Job, hop: int = _HOP) -> None:
    """Apply a gain of one value for every `hop` samples, in place."""
    for block in _blocks(sound.shape[1], job):
        whole = (block.stop - block.start) // hop
        first = block.start // hop
        middle = block.start + whole * hop
        for side in sound:
            side[block.start : middle].reshape(whole, hop)[...] *= gain[first : first + whole, None]
            side[middle : block.stop] *= gain[-1]


def _dips(piece: Piece, samples: int) -> Mono | None:
    """The side chain of dance music: a gain that dips at each stroke of the bass drum and is back within a beat."""
    strokes = [
        piece.clock.at(note.beat) for part in piece.parts if part.drums for note in part.notes if note.pitch == KICK
    ]
    if piece.pumps_db <= 0.0 or not strokes:
        return None
    hop_s = _HOP / SAMPLE_RATE
    back = round(min(0.32, 0.7 * 60.0 / piece.clock.usual_bpm()) / hop_s)
    shape = 10.0 ** (-piece.pumps_db / 20.0 * np.cos(np.linspace(0.0, np.pi / 2, back)) ** 2)
    shape[:4] = np.linspace(1.0, shape[4], 4)
    gain = np.ones(-(-samples // _HOP), dtype=_FLOAT)
    for stroke in strokes:
        at = max(0, round(stroke / hop_s))
        part = gain[at : at + back]
        part[:] = np.minimum(part, shape[: len(part)])
    return gain


def _sides(part: Part, sampler: Sampler) -> tuple[np.float32, np.float32]:
    """Gains of the left and the right side: instruments equally loud, then as the arrangement wants them."""
    pitches = _DRUM_PITCHES if part.drums else (_BASS_PITCHES if part.role == "bass" else _REFERENCE_PITCHES)
    level = sampler.level(part.program, pitches, drums=part.drums)
    balance = min(8.0, max(0.1, _TARGET_RMS / level)) if level > 0 else 1.0
    gain = balance * 10.0 ** ((part.gain_db - (_DRUMS_BACK_DB if part.drums else 0.0)) / 20.0)
    angle = (part.pan + 1.0) * np.pi / 4.0
    return _FLOAT(gain * np.cos(angle) * 2**0.5), _FLOAT(gain * np.sin(angle) * 2**0.5)


@lru_cache(maxsize=8)
def _impulse(room: str) -> Stereo:
    """A synthetic room at half the sample rate: noise that decays exponentially, its treble sooner (after J. A. Moorer,
    "About This Reverberation Business", Computer Music Journal 3 (2), 1979), two different sides for width.
    """
    decay_s, delay_s, damping_hz = ROOMS[room]
    rate = SAMPLE_RATE // 2
    length = round(decay_s * 1.1 * rate)
    seconds = np.arange(length) / rate
    noise = np.random.default_rng(20260101).standard_normal((2, length))
    smooth = np.exp(-2.0 * np.pi * damping_hz * 0.25 / rate)
    dark = lfilter([1.0 - smooth], [1.0, -smooth], noise, axis=1)
    dark /= np.sqrt(np.mean(dark**2))
    bright_share = np.exp(-seconds * 5.0 / decay_s)
    shaped = (0.5 * noise * bright_share + dark * (1.0 - 0.5 * bright_share)) * np.exp(-6.91 * seconds / decay_s)
    onset = round(delay_s * rate)
    ramp = np.minimum(1.0, seconds / 0.015)
    impulse = np.concatenate([np.zeros((2, onset)), shaped * ramp], axis=1)
    impulse /= np.sqrt(np.sum(impulse**2, axis=1, keepdims=True))
    fade = round(0.1 * length)
    impulse[:, -fade:] *= np.linspace(1.0, 0.0, fade)
    return np.asarray(impulse, dtype=_FLOAT)


@lru_cache(maxsize=8)
def _spectrum(room: str) -> tuple[int, int, NDArray[np.complex64]]:
    """Of the room's impulse: the transform's size, how many new samples each transform takes, and the spectrum."""
    impulse = _impulse(room)
    size = 1 << 17 if impulse.shape[1] < 1 << 16 else 1 << 18
    return size, size - impulse.shape[1] + 1, np.asarray(rfft(impulse, size, axis=1))


def _reverberate(send: Mono, out: Stereo, room: str, job: Job) -> None:
    """Add the room's answer to `out`, both at half the rate: reverberation is dark, and costs half as much there."""
    size, step, spectrum = _spectrum(room)
    for start in range(0, len(send), step):  # overlap-add
        job.check()
        wet = irfft(rfft(send[start : start + step], size) * spectrum, size, axis=1)
        part = out[:, start : start + size]
        part += wet[:, : part.shape[1]]


def _in_blocks(sound: Stereo, divide: int, multiply: int, job: Job) -> Stereo:
    """Change the sample rate by `multiply / divide` (2 or 1 each), a block with a margin at a time."""
    channels, samples = sound.shape
    margin = 512
    out = np.zeros((channels, -(-samples // divide) * multiply), dtype=_FLOAT)
    padded = np.pad(sound, ((0, 0), (margin, margin + divide)))
    for start in range(0, samples, _BLOCK):
        job.check()
        length = min(_BLOCK, samples - start)
        piece = padded[:, start : start + length + 2 * margin]
        changed = soxr.resample(piece.T, divide, multiply, quality="MQ").T
        skip = margin * multiply // divide
        begin = start * multiply // divide
        size = min(-(-length // divide) * multiply, out.shape[1] - begin)
        part = changed[:, skip : skip + size]
        out[:, begin : begin + part.shape[1]] = part
    return out


def _swell(part: Part, piece: Piece) -> Mono:
    """Bow and breath: the level rises towards the third bar of each phrase of four and falls to its end."""
    seconds = np.arange(0.0, piece.duration_s + 0.1, 0.1)
    beats = np.array([piece.clock.beat_at(float(second)) for second in seconds])
    decibels = part.swell * swell_shape(beats / piece.meter.beats)
    at = np.arange(0.0, piece.duration_s + _HOP / SAMPLE_RATE, _HOP / SAMPLE_RATE)
    return np.asarray(np.interp(at, seconds, 10.0 ** (decibels / 20.0)), dtype=_FLOAT)


def _high_pass(sound: Stereo, job: Job) -> None:
    """Remove what is below 30 Hz (first order), where loudspeakers only lose headroom."""
    pole = float(np.exp(-2.0 * np.pi * 28.0 / SAMPLE_RATE))
    b, a = np.array([1.0, -1.0], dtype=_FLOAT), np.array([1.0, -pole], dtype=_FLOAT)
    state = np.zeros((2, 1), dtype=_FLOAT)
    for block in _blocks(sound.shape[1], job):
        sound[:, block], state = lfilter(b, a, sound[:, block], axis=1, zi=state)


def _bus_gain(sound: Stereo, job: Job) -> Mono:
    """Bus compression, a gain for every `_HOP` samples: 2 to 1 above a threshold that follows the piece's own level,
    immediate attack with 10 ms of looking ahead, 200 ms release.
    """
    hop = 14 * _HOP
    samples = sound.shape[1]
    frames = -(-samples // hop)
    padded = np.zeros(frames * hop, dtype=_FLOAT)
    for block in _blocks(samples, job):
        np.max(np.abs(sound[:, block]), axis=0, out=padded[block])
    peaks = padded.reshape(frames, hop).max(axis=1)
    hops = -(-samples // _HOP)
    loud = peaks[peaks > 1e-4]
    if not len(loud):
        return np.ones(hops, dtype=_FLOAT)
    threshold = float(np.quantile(loud, 0.6))
    follower = np.empty(frames)
    level = 0.0
    release = float(np.exp(-hop / SAMPLE_RATE / 0.2))
    for index, peak in enumerate(peaks.tolist()):
        level = peak if peak > level else level * release + peak * (1.0 - release)
        follower[index] = level
    gain = np.minimum(1.0, np.sqrt(threshold / np.maximum(follower, 1e-6)))
    gain = np.minimum(gain, np.append(gain[1:], gain[-1]))
    smooth = np.interp(np.arange(hops) * _HOP, (np.arange(frames) + 0.5) * hop, gain)
    return np.asarray(smooth, dtype=_FLOAT)


def _levels(piece: Piece, samples: int) -> Mono:
    """The energy curve as a gain for every `_HOP` samples."""
    hops = -(-samples // _HOP)
    levels = np.clip(np.asarray(piece.levels, dtype=np.float64), 0.0, 1.0)
    if len(levels) < 2 or piece.level_depth_db == 0.0:
        return np.ones(hops, dtype=_FLOAT)
    decibels = piece.level_depth_db * (levels - levels.max())
    fine = np.interp(np.linspace(0, len(levels) - 1, hops), np.arange(len(levels)), decibels)
    return np.asarray(10.0 ** (fine / 20.0), dtype=_FLOAT)


def _soften_ends(sound: Stereo, ring_s: float) -> None:
    """No click at either end: 3 ms in, and out over the second half of the last chord's ringing, up to 1.2 s."""
    samples = sound.shape[1]
    fade_in = min(132, samples)
    sound[:, :fade_in] *= np.linspace(0.0, 1.0, fade_in, dtype=_FLOAT)
    fade_out = min(round(min(1.2, 0.5 * ring_s) * SAMPLE_RATE), samples // 3)
    if fade_out:
        curve = np.cos(np.linspace(0.0, np.pi / 2, fade_out)) ** 2
        sound[:, samples - fade_out :] *= curve.astype(_FLOAT)
