"""Two page processes with one work folder, played by two desks that share nothing else."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from musiscene.errors import RequestError
from musiscene.pipeline import Pipeline
from musiscene.settings import Settings
from musiscene.study.store import RatingStore
from musiscene.types import CaptionKind
from musiscene.ui.choices import Choices
from musiscene.ui.desk import Desk
from musiscene.ui.sharing import try_hold, writing

CHOICES = Choices(kinds=frozenset({CaptionKind.MUSIC}), duration_s=1.5, seed=7)
PEOPLE = [f"person-{number}-of-many" for number in range(6)]


@pytest.fixture
def desks(pipeline: Pipeline, tmp_path: Path) -> Iterator[tuple[Desk, Desk]]:
    """Two desks on one work folder and one database."""
    settings = Settings(data_dir=tmp_path / "data", work_dir=tmp_path / "work", profile="sketch")
    stores = [RatingStore(settings.ratings_url) for _ in range(2)]
    yield Desk(settings, pipeline, stores[0]), Desk(settings, pipeline, stores[1])
    for store in stores:
        store.close()


def done(desk: Desk, path: Path) -> str:
    """The token of a comparison that is finished."""
    comparison = desk.start(desk.open_file(path, path.name), CHOICES, describe=True, score=True)
    for _ in desk.follow(comparison, interval_s=0.02):
        pass
    return comparison.token


def test_a_comparison_opens_on_the_other(desks: tuple[Desk, Desk], clip_path: Path) -> None:
    """With its captions, its soundtracks and what people gave them, also what came later."""
    first, second = desks
    token = done(first, clip_path)
    opened = second.find(token)
    assert opened.captions[CaptionKind.MUSIC].text == first.find(token).captions[CaptionKind.MUSIC].text
    track = opened.tracks[0]
    first.rate(first.find(token), PEOPLE[0], track.id, 80, "")
    assert second.find(token).scores[PEOPLE[0]][track.id]["score"] == 80
    assert second.find(token) is second.find(token)  # read again only when it was written


def test_ratings_of_both_are_kept(desks: tuple[Desk, Desk], clip_path: Path) -> None:
    """Given in the same instant, many times."""
    token = done(desks[0], clip_path)
    track = desks[0].find(token).tracks[0].id
    start = threading.Barrier(len(PEOPLE))

    def rate(number: int) -> None:
        desk = desks[number % 2]
        comparison = desk.find(token)
        start.wait()
        for score in (10.0, 20.0, 30.0 + number):
            desk.rate(comparison, PEOPLE[number], track, score, "")

    threads = [threading.Thread(target=rate, args=(number,)) for number in range(len(PEOPLE))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = {rating.session_id: rating.score for rating in desks[0].store.all()}
    written = json.loads((desks[0].settings.work_dir / token / "comparison.json").read_text())["scores"]
    expected = {person: 30.0 + number for number, person in enumerate(PEOPLE)}
    assert stored == expected
    assert {person: given[track]["score"] for person, given in written.items()} == expected


def test_only_one_works_on_a_comparison(desks: tuple[Desk, Desk], clip_path: Path) -> None:
    """The other is told so, and may when it is finished; an end without a word gives the right back."""
    first, second = desks
    comparison = first.open_file(clip_path, "clip.mp4")
    first.start(comparison, CHOICES, describe=True, score=True)
    with pytest.raises(RequestError, match="worked on"):
        second.start(second.find(comparison.token), CHOICES, describe=True, score=False)
    for _ in first.follow(comparison, interval_s=0.02):
        pass
    again = second.start(second.find(comparison.token), CHOICES, describe=True, score=False)
    assert again.token != comparison.token  # results stay as they were
    for _ in second.follow(again, interval_s=0.02):
        pass


def test_the_state_is_written_by_one_at_a_time(tmp_path: Path) -> None:
    """Whoever comes second waits; the right to work is another thing."""
    order: list[str] = []

    def second() -> None:
        with writing(tmp_path):
            order.append("second")

    with writing(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.1)
        assert try_hold(tmp_path) is not None
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_folder_that_is_gone_holds_nobody_off(tmp_path: Path) -> None:
    """Nor does a disk without locks: there the work goes on as it always did."""
    with writing(tmp_path / "gone"):
        assert try_hold(tmp_path / "gone") is not None
