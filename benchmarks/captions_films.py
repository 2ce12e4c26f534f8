"""What the video captioner finds of the cuts of films that are too long to be decoded whole.

    python benchmarks/captions_films.py [--films 2] [--seed 30000] [--share 0.65 0.35] [--encoder hevc] [--json FILE]

Nine montages of successive seeds (`_montages.py`) make a film with a cut every three seconds. It is coded with several
encoders, mostly with a key frame every 125 pictures wherever the cuts are, and read at 8 pictures a second, as films of
more than five minutes are. Reading in parts is forced by allowing a share of the work of decoding; `--share 1` reads
whole. Figures count work, not time. Seeds 20000 to 21008 were used for the choice of rules.
"""

from __future__ import annotations

import argparse
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import _montages
import av
import numpy as np
from _harness import write_json
from captions_video import Score

from musiscene import media
from musiscene.captions._video import reading, sampling
from musiscene.captions._video.analysis import analyse
from musiscene.captions._video.words import caption_text
from musiscene.types import Job

MONTAGES, RATE = 9, 8.0
_FIXED = "keyint=125:min-keyint=125:scenecut=0"
ENCODERS: dict[str, tuple[str, str, dict[str, str]]] = {
    "h264": ("libx264", "mp4", {"preset": "veryfast", "crf": "23", "x264-params": _FIXED}),
    "h264_scenecut": ("libx264", "mp4", {"preset": "veryfast", "crf": "23"}),
    "hevc": ("libx265", "mp4", {"preset": "veryfast", "crf": "26", "x265-params": f"{_FIXED}:log-level=error"}),
    "vp9": ("libvpx-vp9", "webm", {"deadline": "realtime", "cpu-used": "5", "crf": "33", "b": "0", "g": "125"}),
    "mpeg4": ("mpeg4", "mp4", {"qmin": "4", "qmax": "4", "g": "125", "bf": "2", "sc_threshold": "1000000000"}),
}


def film(seed: int, folder: Path, encoders: list[str]) -> tuple[dict[str, Path], float, _montages.Truth]:
    """The film of that seed in each encoder, its frame rate and its cuts."""
    paths = {name: folder / f"film-{k}.{ENCODERS[name][1]}" for k, name in enumerate(encoders)}
    made = {name: av.open(str(path), "w") for name, path in paths.items()}
    streams: dict[str, Any] = {}
    cuts: list[tuple[float, float]] = []
    kinds: list[str] = []
    rate, done = 0.0, 0
    for number in range(seed, seed + MONTAGES):
        frames, fps, truth = _montages.montage(number)
        rate, begin = rate or fps, done
        if begin:
            cuts.append((begin / rate, begin / rate))
            kinds.append("cut")
        cuts += [((a * fps + begin) / rate, (b * fps + begin) / rate) for a, b in truth.cuts_s]
        kinds += truth.kinds
        for picture in frames:
            for name, container in made.items():
                if name not in streams:
                    codec, _, options = ENCODERS[name]
                    stream = container.add_stream(codec, rate=Fraction(rate).limit_denominator(1001), options=options)
                    stream.height, stream.width = picture.shape[:2]
                    stream.pix_fmt = "yuv420p"
                    streams[name] = stream
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                container.mux(streams[name].encode(frame))
            done += 1
    for name, container in made.items():
        container.mux(streams[name].encode())
        container.close()
    return paths, rate, _montages.Truth(tuple(cuts), tuple(kinds), ())


def measure(path: Path, fps: float, truth: _montages.Truth, share: float) -> dict[str, Any]:
    """What is found with this share of the work of decoding the whole."""
    clip = media.probe(path)
    packets = media.scan_packets(clip)
    assert packets is not None
    allowed = share * float(packets.work.sum())
    with mock.patch.object(sampling, "MOST_WORK", allowed), mock.patch.object(reading, "RATES", ((np.inf, RATE),)):
        picture = analyse(clip, Job())
    score = Score()
    score.count([cut.time_s for cut in picture.cuts], truth, fps)
    figures = score.figures()
    return {
        "f1": figures["f1"],
        "said": len(picture.cuts),
        "true": len(truth.cuts_s),
        "unseen": picture.cuts_unseen,
        "seen_share": round(picture.seen_share, 3),
        "invented": figures["invented"],
        "missed": figures["missed"],
        "caption": caption_text(picture),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=2, help="films to make, a thousand seeds apart")
    parser.add_argument("--seed", type=int, default=30000, help="seed of the first one's first montage")
    parser.add_argument("--share", type=float, nargs="+", default=[0.65, 0.35], help="shares of the work of decoding")
    parser.add_argument("--encoder", nargs="+", choices=list(ENCODERS), default=list(ENCODERS), help="encoders")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    report: dict[str, Any] = {}
    for seed in range(given.seed, given.seed + 1000 * given.films, 1000):
        with tempfile.TemporaryDirectory() as name:
            paths, fps, truth = film(seed, Path(name), given.encoder)
            for encoder, path in paths.items():
                for share in given.share:
                    found = measure(path, fps, truth, share)
                    report[f"{seed}/{encoder}/{share}"] = found
                    print(seed, encoder, share, {key: value for key, value in found.items() if key != "caption"})
                    print(f"    {found['caption']}", flush=True)
    for share in given.share:
        rows = [row for key, row in report.items() if key.endswith(f"/{share}")]
        off = [abs(row["said"] / row["true"] - 1) for row in rows]
        f1 = np.mean([row["f1"] for row in rows])
        print(f"share {share}: mean F1 {f1:.3f}, number of cuts off by {np.mean(off):.1%}")
    write_json(given.json, report)


if __name__ == "__main__":
    main()
