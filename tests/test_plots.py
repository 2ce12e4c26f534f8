"""Drawings of evidence: complete, partial, empty, in both themes."""

from __future__ import annotations

import base64
import io
import threading
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from musiscene.errors import RequestError, StorageError
from musiscene.palette import ACCENTS
from musiscene.plots import plot_evidence, save_evidence
from musiscene.types import Caption, CaptionKind


def jpeg() -> str:
    """A tiny picture as base64 JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((54, 96, 3), 90, np.uint8)).save(buffer, "JPEG")
    return base64.b64encode(buffer.getvalue()).decode()


EVIDENCE: dict[CaptionKind, dict[str, Any]] = {
    CaptionKind.VIDEO: {
        "duration_s": 12.0, "cuts_s": [3.0, 7.5], "motion_curve": [0.1, 0.4, 0.8, 0.2], "motion_kind": "pan left",
        "palette": [{"name": "brown", "hex": "#80563a", "share": 0.7}, {"name": "tan", "hex": "#b9a27c", "share": 0.3}],
        "strip": [{"time_s": float(k), "jpeg": jpeg()} for k in range(4)],
    },
    CaptionKind.MUSIC: {
        "duration_s": 12.0, "tempo_bpm": 96.0, "key": "A minor", "beats_s": [0.5 + 0.625 * k for k in range(18)],
        "chroma": [0.2, 0.1, 0.5, 0.1, 0.9, 0.3, 0.1, 0.4, 0.1, 1.0, 0.1, 0.3], "energy_curve": [0.2, 0.8, 0.5],
        "waveform": [[-0.5, 0.4], [-0.8, 0.9], [-0.1, 0.2]],
    },
    CaptionKind.FUSION: {
        "duration_s": 12.0, "motion_curve": [0.1, 0.4, 0.8], "energy_curve": [0.9, 0.4], "agreement_word": "partly",
    },
    CaptionKind.MSI: {
        "arousal": 0.4, "valence": -0.3, "scene_id": "last-bus", "alternatives": [{"scene_id": "rain-window"}],
    },
}  # fmt: skip


def drawn(kind: CaptionKind, evidence: dict[str, Any] | None = None, **options: Any) -> str:
    """The drawing of some evidence."""
    return plot_evidence(
        Caption(kind, "x", "sketch", evidence=EVIDENCE[kind] if evidence is None else evidence), **options
    )


@pytest.mark.parametrize("kind", list(CaptionKind))
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_kind_is_drawn_as_readable_svg(kind: CaptionKind, theme: str) -> None:
    """Each drawing is well-formed SVG with a title, its accent, a transparent ground and no script or outside link."""
    svg = drawn(kind, theme=theme)

    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg")
    assert root.get("role") == "img"
    assert "<title>" in svg
    assert getattr(ACCENTS[kind], theme) in svg or kind is CaptionKind.FUSION
    assert "<script" not in svg and "<metadata" not in svg
    assert len(svg) < 250_000


def test_the_same_caption_gives_the_same_bytes() -> None:
    """Drawing is deterministic, also from two threads at once."""
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.append(drawn(CaptionKind.VIDEO))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(made)) == 1


@pytest.mark.parametrize("kind", list(CaptionKind))
def test_missing_evidence_is_left_out(kind: CaptionKind) -> None:
    """Each single field alone draws something or nothing, but never fails; no evidence draws nothing."""
    for name, value in EVIDENCE[kind].items():
        assert isinstance(drawn(kind, {name: value}), str)
        assert isinstance(drawn(kind, {**EVIDENCE[kind], name: None}), str)
    assert drawn(kind, {}) == ""


@pytest.mark.parametrize("turn", range(6))
def test_odd_evidence_never_breaks_a_drawing(turn: int) -> None:
    """Evidence of other backends may hold anything under these names."""
    odd: list[Any] = ["text", 3, [None, "a"], {"a": 1}, [float("nan")], [[1]]]
    for kind in CaptionKind:
        evidence = {name: odd[(k + turn) % len(odd)] for k, name in enumerate(EVIDENCE[kind])}
        assert isinstance(drawn(kind, evidence), str)


def test_ids_of_two_drawings_never_meet() -> None:
    """Two drawings may stand in one page."""
    ids = [
        {element.get("id") for element in ElementTree.fromstring(drawn(kind)).iter() if element.get("id")}
        for kind in (CaptionKind.VIDEO, CaptionKind.MUSIC)
    ]

    assert not ids[0] & ids[1]


@pytest.mark.parametrize("ending", [".svg", ".png", ".pdf"])
def test_drawings_are_saved_for_reports(tmp_path: Path, ending: str) -> None:
    """SVG, PNG and PDF can be written."""
    caption = Caption(CaptionKind.FUSION, "x", "sketch", evidence=EVIDENCE[CaptionKind.FUSION])

    path = save_evidence(caption, tmp_path / f"plot{ending}")

    assert path is not None and path.stat().st_size > 1000


def test_what_cannot_be_saved_is_said(tmp_path: Path) -> None:
    """Nothing to draw writes nothing; another ending, another theme and a missing folder are refused in words."""
    empty = Caption(CaptionKind.MSI, "x", "sketch")
    full = Caption(CaptionKind.MSI, "x", "sketch", evidence=EVIDENCE[CaptionKind.MSI])

    assert save_evidence(empty, tmp_path / "plot.svg") is None
    assert not (tmp_path / "plot.svg").exists()
    with pytest.raises(RequestError, match=r"\.gif"):
        save_evidence(full, tmp_path / "plot.gif")
    with pytest.raises(RequestError, match="theme"):
        plot_evidence(full, theme="blue")  # type: ignore[arg-type]
    with pytest.raises(StorageError, match="cannot be written"):
        save_evidence(full, tmp_path / "missing" / "plot.svg")
