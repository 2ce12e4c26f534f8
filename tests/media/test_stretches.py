"""Packets tell what they hold before they are decoded, and parts of a clip show what the whole shows there."""

from __future__ import annotations

import threading

import av
import numpy as np
import pytest

from musiscene.errors import MissingStreamError, Stopped
from musiscene.media import Stretch, iter_frames, iter_stretches, probe, scan_packets
from musiscene.types import Job

FILMS = {
    "b_frames.mp4": ("libx264", {"g": "20", "bf": "3", "x264-params": "b-pyramid=normal:scenecut=0"}),
    "open_groups.mkv": ("libx265", {"x265-params": "keyint=20:open-gop=1:scenecut=0:bframes=3:log-level=none"}),
    "broadcast.ts": ("mpeg2video", {"g": "12", "bf": "2"}),
    "old.avi": ("mpeg4", {"g": "15"}),
    "web.webm": ("libvpx-vp9", {"g": "20", "deadline": "realtime", "cpu-used": "8"}),
}


@pytest.mark.parametrize("name", FILMS)
def test_parts_show_what_the_whole_shows_there(make_media, name):
    """Every second part between key frames, and the beginnings of the others, are the pictures of a full pass."""
    codec, options = FILMS[name]
    clip = probe(make_media(name, duration_s=6, fps=20, size=(64, 48), codec=codec, options=options))
    whole = dict(iter_frames(clip))
    times = np.array(sorted(whole))
    packets = scan_packets(clip)
    firsts = np.flatnonzero(packets.keys)
    lasts = np.append(firsts[1:], len(packets.keys))
    parts = [Stretch(int(a), int(b if k % 2 else a + 5)) for k, (a, b) in enumerate(zip(firsts, lasts, strict=True))]

    seen = list(iter_stretches(clip, packets, parts, fps=1000))

    assert len(firsts) >= 4
    assert len(whole) * 0.5 < len(seen) < len(whole) * 0.9
    assert np.all(np.diff([time_s for time_s, _ in seen]) > 0)
    for time_s, picture in seen:
        nearest = times[np.abs(times - time_s).argmin()]
        assert nearest == pytest.approx(time_s, abs=1e-4)
        np.testing.assert_allclose(picture.astype(int), whole[nearest].astype(int), atol=3)


def test_parts_keep_to_the_rate_and_each_begins_with_its_first_picture(make_media):
    """Two parts at five pictures a second begin where they begin, not on a common grid."""
    clip = probe(make_media(duration_s=4, fps=20, options={"g": "14", "x264-params": "scenecut=0"}))
    packets = scan_packets(clip)
    firsts = [int(k) for k in np.flatnonzero(packets.keys)]
    parts = [Stretch(firsts[1], firsts[2]), Stretch(firsts[4], firsts[5])]

    times = [time_s for time_s, _ in iter_stretches(clip, packets, parts, fps=5, max_side=32)]

    assert times == pytest.approx([0.7, 0.9, 1.1, 1.3, 2.8, 3.0, 3.2, 3.4], abs=0.001)


@pytest.mark.parametrize("name", ["b_frames.mp4", "open_groups.mkv", "b_frames.ts"])
def test_light_packets_are_those_that_a_decoder_leaves_out(make_media, name):
    """As many pictures are lost when the decoder skips those that no other refers to as packets are called light."""
    codec, options = FILMS["open_groups.mkv" if name == "open_groups.mkv" else "b_frames.mp4"]
    path = make_media(name, duration_s=3, fps=20, codec=codec, options=options)
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.skip_frame = "NONREF"
        decoded = sum(1 for _ in container.decode(video=0))

    packets = scan_packets(probe(path))

    assert 0 < int(packets.light.sum()) == len(packets.sizes) - decoded
    assert np.all(packets.work[packets.light] == 0)
    assert np.all(packets.work[~packets.light] > 64 * 48 / (1920 * 1080))


def test_reading_parts_stops_when_asked(make_media):
    """A stop that comes between two pictures ends the reading."""
    clip = probe(make_media(duration_s=4, options={"g": "10"}))
    packets, stop = scan_packets(clip), threading.Event()
    pictures = iter_stretches(clip, packets, [Stretch(0, len(packets.keys))], fps=25, job=Job(stop=stop))
    next(pictures)

    stop.set()

    with pytest.raises(Stopped):
        list(pictures)


def test_sound_alone_has_no_parts_to_look_at(make_media):
    """A clip without a picture is refused in one sentence."""
    clip = probe(make_media("a.mp4", duration_s=1))
    packets = scan_packets(clip)
    sound = probe(make_media("b.m4a", codec=None, audio=np.zeros((1, 4800), np.float32)))
    with pytest.raises(MissingStreamError, match="no picture"):
        next(iter_stretches(sound, packets, [Stretch(0, 1)], fps=1))
