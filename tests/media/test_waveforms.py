"""Exact lengths, repeatable files, outlines, and files that appear whole or not at all."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from musiscene.errors import RequestError, StorageError
from musiscene.media import atomic_path, fit_duration, waveform_envelope, write_wav


@pytest.mark.parametrize("duration_s", [0.0, 0.5, 1.0, 1.23456, 3.0])
def test_the_length_is_exact(duration_s):
    """Cut or padded, there are as many samples as the duration has."""
    fitted = fit_duration(np.ones((2, 44_100), np.float32), 44_100, duration_s)
    assert fitted.shape == (2, round(duration_s * 44_100))


def test_a_cut_fades_and_padding_is_silent():
    """What is cut ends at zero without a step; what is padded ends in zeros."""
    ones = np.ones((1, 1000), np.float32)
    cut = fit_duration(ones, 1000, 0.5, fade_out_s=0.1)
    assert abs(cut[0, -1]) < 1e-6
    assert (cut[0, :400] == 1).all()
    assert np.abs(np.diff(cut[0])).max() < 0.05
    assert not fit_duration(ones, 1000, 1.5)[0, 1000:].any()


def test_a_negative_length_is_refused():
    """There is no negative time."""
    with pytest.raises(RequestError):
        fit_duration(np.ones((1, 10), np.float32), 10, -1.0)


def test_the_same_sound_gives_the_same_bytes(tmp_path):
    """Dither is seeded; silence stays digital silence; full scale does not wrap around."""
    sound = np.concatenate([np.linspace(-1.5, 1.5, 20_000), np.zeros(500)]).astype(np.float32)[None]
    for name in ("a.wav", "b.wav"):
        write_wav(tmp_path / name, sound, 22_050)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    read, rate = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert rate == 22_050
    assert not read[-500:].any()
    np.testing.assert_allclose(read[:-500] / 32767, np.clip(sound[0, :-500], -1, 1), atol=1e-4)


def test_channels_are_kept_in_order(tmp_path):
    """Left is left."""
    write_wav(tmp_path / "s.wav", np.array([[0.5] * 100, [-0.5] * 100], np.float32), 8000)
    read, _ = soundfile.read(tmp_path / "s.wav")
    assert read.shape == (100, 2)
    assert (read[:, 0] > 0.49).all()
    assert (read[:, 1] < -0.49).all()


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    """An error in the middle leaves the older file alone and nothing else behind."""
    final = tmp_path / "new" / "out.bin"
    with atomic_path(final) as temporary:
        temporary.write_bytes(b"first")
        assert not final.exists()
    with pytest.raises(ZeroDivisionError), atomic_path(final) as temporary:
        temporary.write_bytes(b"half")
        raise ZeroDivisionError
    assert final.read_bytes() == b"first"
    assert [path.name for path in final.parent.iterdir()] == ["out.bin"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    """A path below a file cannot be written."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot be written"), atomic_path(tmp_path / "file" / "out.bin"):
        pass


def test_the_outline_holds_the_extremes():
    """Each point is the lowest and highest value of its part; short and empty sounds have outlines too."""
    sound = np.zeros((1, 1000), np.float32)
    sound[0, 250], sound[0, 750] = 0.5, -0.25
    outline = waveform_envelope(sound, 4)
    np.testing.assert_array_equal(outline, [[0, 0], [0, 0.5], [0, 0], [-0.25, 0]])
    assert waveform_envelope(np.zeros((2, 0), np.float32), 7).shape == (7, 2)
    assert waveform_envelope(np.ones((2, 3), np.float32), 7).shape == (7, 2)
