"""Reads a SoundFont 2 file: presets, their zones and the samples behind them.

Source: "SoundFont Technical Specification", version 2.04 (2006): chunks in section 5 and 7, generators in section 8.1.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musiscene.errors import ConfigError

DRUM_BANK = 128
_OPENING = 0.8
"""Share of the filter's opening that is played: all of it makes a mix of many General MIDI sounds harsh."""
_RANGES = {43: "keys", 44: "velocities"}
# Generators that a preset zone may not change (section 8.5: they exist in the instrument only).
_INSTRUMENT_ONLY = frozenset({0, 1, 2, 3, 4, 12, 45, 46, 47, 50, 54, 57, 58})
_DEFAULTS = {
    8: 13500,
    **dict.fromkeys((25, 26, 27, 28, 33, 34, 35, 36, 38), -12000),
    56: 100,
    58: -1,
    46: -1,
    47: -1,
}
_ATTENUATION_SCALE = 0.4
"""E-mu's hardware applies 0.4 of the attenuation written in the file; SoundFonts are voiced for that."""


@dataclass(frozen=True, slots=True)
class Zone:
    """One sample as one preset uses it.

    Attributes:
        keys: Lowest and highest MIDI key.
        velocities: Lowest and highest velocity.
        source: Where `data` begins and ends in the file's samples.
        data: The sample, mono, int16, from its start to its end.
        loop: First sample of the loop and the first after it, within `data`; None when it plays once.
        loop_until_release: The loop ends with the key, and the rest of the sample follows.
        sample_rate: In Hz.
        root_cents: Pitch of `data` in cents above MIDI key 0, tuning generators included.
        cents_per_key: 100 for instruments that play in tune with the keyboard.
        pan: -1 (left) to 1 (right).
        gain: Linear.
        cutoff_hz: Of the low-pass filter at full velocity, before its envelope opens it.
        opens_cents: How far the modulation envelope opens the filter at its peak.
        open_delay_s, open_attack_s, open_hold_s, open_decay_s: Of that envelope; the decay is for its whole height.
        open_sustain: Share of its height that stays while the key is held.
        delay_s, attack_s, hold_s, decay_s, release_s: Of the volume envelope; decay and release are for 100 dB.
        sustain_db: Attenuation that the decay goes to.
        exclusive: A new note of the same non-zero class silences this one (hi-hats).
    """

    keys: tuple[int, int]
    velocities: tuple[int, int]
    source: tuple[int, int]
    data: NDArray[np.int16]
    loop: tuple[int, int] | None
    loop_until_release: bool
    sample_rate: int
    root_cents: float
    cents_per_key: float
    pan: float
    gain: float
    cutoff_hz: float
    opens_cents: float
    open_delay_s: float
    open_attack_s: float
    open_hold_s: float
    open_decay_s: float
    open_sustain: float
    delay_s: float
    attack_s: float
    hold_s: float
    decay_s: float
    sustain_db: float
    release_s: float
    exclusive: int

    @property
    def timbre(self) -> tuple[object, ...]:
        """All that decides how a key sounds before its loudness and place: zones that share it share that sound."""
        pitch = (self.source, self.loop, self.sample_rate, self.root_cents, self.cents_per_key)
        opening = (self.open_delay_s, self.open_attack_s, self.open_hold_s, self.open_decay_s, self.open_sustain)
        return (*pitch, self.cutoff_hz, self.opens_cents, *opening)


def _seconds(timecents: int) -> float:
    return 0.0 if timecents <= -12000 else float(2.0 ** (min(timecents, 8000) / 1200.0))


class SoundFont:
    """A SoundFont in memory; immutable, so that threads may share it."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            ConfigError: It cannot be read or is no SoundFont.
        """
        self.path = path
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"The SoundFont {path.name!r} cannot be read ({error.strerror or error}): give another .sf2 file."
            ) from None
        try:
            self._read(content)
        except (struct.error, KeyError, IndexError, ValueError) as error:
            raise ConfigError(
                f"{path.name!r} is not a SoundFont 2 file that can be used ({error}): give another .sf2 file."
            ) from None

    def preset(self, program: int, *, drums: bool = False) -> tuple[Zone, ...]:
        """The zones of a General MIDI program, or of a drum kit; the nearest relative when the file lacks it."""
        bank = DRUM_BANK if drums else 0
        wanted = [(bank, program), (bank, program // 8 * 8), (bank, 0)]
        key = next((key for key in wanted if key in self._presets), None)
        if key is None:
            key = min(self._presets, key=lambda have: (have[0] != bank, have))
        return self._zones(key)

    def _read(self, content: bytes) -> None:
        if content[:4] != b"RIFF" or content[8:12] != b"sfbk":
            raise ValueError("no sfbk header")
        chunks = dict(_chunks(content, 12, len(content)))
        samples = chunks[b"smpl"]
        self._samples = np.frombuffer(content, dtype="<i2", count=samples[1] // 2, offset=samples[0])

        def records(name: bytes, layout: str) -> list[tuple[Any, ...]]:
            start, size = chunks[name]
            width = struct.calcsize(layout)
            return list(struct.iter_unpack(layout, content[start : start + size // width * width]))

        self._instrument_zones = _bags(
            [r[1] for r in records(b"inst", "<20sH")],
            [r[0] for r in records(b"ibag", "<HH")],
            [(r[0], r[1]) for r in records(b"igen", "<H2s")],
            link=53,
        )
        heads = records(b"phdr", "<20sHHHIII")
        zones = _bags(
            [r[3] for r in heads],
            [r[0] for r in records(b"pbag", "<HH")],
            [(r[0], r[1]) for r in records(b"pgen", "<H2s")],
            link=41,
        )
        self._headers = records(b"shdr", "<20sIIIIIBbHH")
        self._presets = {(head[2], head[1]): zones[i] for i, head in enumerate(heads[:-1])}
        if not self._presets:
            raise ValueError("it has no presets")
        self._cache: dict[tuple[int, int], tuple[Zone, ...]] = {}

    def _zones(self, key: tuple[int, int]) -> tuple[Zone, ...]:
        if key not in self._cache:  # two threads may both build it: the result is the same
            found = []
            for preset in self._presets[key]:
                for instrument in self._instrument_zones[preset[41]]:
                    zone = self._zone(preset, instrument)
                    if zone is not None:
                        found.append(zone)
            if not found:
                raise ConfigError(f"{self.path.name!r} has no usable sounds for preset {key}: give another .sf2 file.")
            self._cache[key] = tuple(found)
        return self._cache[key]

    def _zone(self, preset: Mapping[Any, Any], instrument: Mapping[Any, Any]) -> Zone | None:
        keys = _overlap(preset.get("keys"), instrument.get("keys"))
        velocities = _overlap(preset.get("velocities"), instrument.get("velocities"))
        if keys is None or velocities is None:
            return None

        def value(generator: int) -> int:
            own: int = instrument.get(generator, _DEFAULTS.get(generator, 0))
            return own if generator in _INSTRUMENT_ONLY else own + int(preset.get(generator, 0))

        _, start, end, loop_start, loop_end, rate, root, correction, _, _ = self._headers[instrument[53]]
        first = start + value(0) + 32768 * value(4)
        last = end + value(1) + 32768 * value(12)
        loop = (loop_start + value(2) + 32768 * value(45) - first, loop_end + value(3) + 32768 * value(50) - first)
        data = self._samples[first:last]
        if len(data) < 8 or rate <= 0:
            return None
        looped = bool(value(54) & 1) and 0 <= loop[0] < loop[1] - 1 and loop[1] <= len(data)
        root = value(58) if value(58) >= 0 else min(root, 127)
        return Zone(
            keys=keys,
            velocities=velocities,
            source=(first, last),
            data=data,
            loop=loop if looped else None,
            loop_until_release=value(54) == 3,
            sample_rate=rate,
            root_cents=100.0 * root - correction - 100.0 * value(51) - value(52),
            cents_per_key=float(value(56)),
            pan=max(-1.0, min(1.0, value(17) / 500.0)),
            gain=10.0 ** (-_ATTENUATION_SCALE * max(0, value(48)) / 200.0),
            cutoff_hz=8.176 * 2.0 ** (min(13500, max(1500, value(8))) / 1200.0),
            opens_cents=_OPENING * value(11),
            open_delay_s=_seconds(value(25)),
            open_attack_s=_seconds(value(26)),
            open_hold_s=_seconds(value(27)),
            open_decay_s=_seconds(value(28)),
            open_sustain=1.0 - min(1000, max(0, value(29))) / 1000.0,
            delay_s=_seconds(value(33)),
            attack_s=_seconds(value(34)),
            hold_s=_seconds(value(35)),
            decay_s=_seconds(value(36)),
            sustain_db=max(0.0, value(37) / 10.0),
            release_s=_seconds(value(38)),
            exclusive=value(57),
        )


def _chunks(content: bytes, start: int, end: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Yield each leaf chunk's name with its offset and size."""
    while start + 8 <= end:
        name, size = struct.unpack_from("<4sI", content, start)
        if name == b"LIST":
            yield from _chunks(content, start + 12, min(end, start + 8 + size))
        elif start + 8 + size <= len(content):
            yield name, (start + 8, size)
        start += 8 + size + size % 2


def _bags(
    first_bags: list[int], first_generators: list[int], generators: list[tuple[int, bytes]], *, link: int
) -> list[list[dict[Any, Any]]]:
    """The zones of each preset (or instrument), with its global zone already applied."""
    owners: list[list[dict[Any, Any]]] = []
    for bag, next_bag in pairwise(first_bags):
        shared: dict[Any, Any] = {}
        zones: list[dict[Any, Any]] = []
        for index in range(bag, next_bag):
            zone = dict(shared)
            for kind, amount in generators[first_generators[index] : first_generators[index + 1]]:
                if kind in _RANGES:
                    zone[_RANGES[kind]] = (amount[0], amount[1])
                else:
                    zone[kind] = struct.unpack("<H" if kind in (41, 53) else "<h", amount)[0]
            if link in zone:
                zones.append(zone)
            elif index == bag:
                shared = zone
        owners.append(zones)
    return owners


def _overlap(one: tuple[int, int] | None, other: tuple[int, int] | None) -> tuple[int, int] | None:
    low = max((one or (0, 127))[0], (other or (0, 127))[0])
    high = min((one or (0, 127))[1], (other or (0, 127))[1])
    return (low, high) if low <= high else None
