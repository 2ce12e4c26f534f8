"""Ratings are kept in SQLite and in PostgreSQL alike."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from musiscene.errors import ConfigError, RequestError, StorageError
from musiscene.study.store import Rating, RatingStore, ratings_table, summarize

RATING = Rating(
    session_id="a browser",
    rendition_id="r1",
    clip_hash="0" * 64,
    clip_name="train.mp4",
    caption_kind="music",
    caption_text="A slow piano.",
    caption_backend="sketch",
    backend="sketch",
    seed=7,
    loudness_lufs=-16.02,
    duration_s=12.5,
    score=64,
    comment="",
    app_version="0.1.0",
)


@pytest.fixture
def store(url: str) -> Iterator[RatingStore]:
    """A store on that database."""
    store = RatingStore(url)
    yield store
    store.close()


def test_a_rating_comes_back_as_it_was_given(store: RatingStore) -> None:
    """Every field is kept, with the time of its making."""
    given_rating = replace(RATING, comment="Fits «the train» 🎵", blind=True, take=2, seed=2**31 - 1)

    store.save(given_rating)

    (kept,) = store.all()
    assert Rating(**{name: getattr(kept, name) for name in Rating.__slots__}) == given_rating
    assert kept.created_at == kept.updated_at
    assert kept.created_at.utcoffset() is not None


def test_a_changed_rating_is_the_same_row(store: RatingStore) -> None:
    """Rating again changes the score and the time of change; there is still one row."""
    store.save(RATING)
    store.save(replace(RATING, score=12, comment="on second thought"))

    (kept,) = store.all()
    assert (kept.score, kept.comment) == (12, "on second thought")
    assert kept.updated_at >= kept.created_at


def test_two_people_rate_one_rendition_apart(store: RatingStore) -> None:
    """Ratings belong to a session: one person's never changes another's."""
    store.save(RATING)
    store.save(replace(RATING, session_id="another", score=10))

    assert store.of_session("a browser", ["r1"])["r1"].score == 64
    assert store.of_session("another", ["r1", "r2"])["r1"].score == 10
    assert store.of_session("a third", ["r1"]) == {}


def test_many_threads_lose_nothing(store: RatingStore) -> None:
    """Ratings written at once by many threads are all there, and a click sent twice at once counts once."""
    failures: list[BaseException] = []

    def rate(person: int) -> None:
        try:
            for index in range(5):
                store.save(replace(RATING, session_id=f"person {person // 2}", rendition_id=f"r{index}"))
        except StorageError as error:
            failures.append(error)

    threads = [threading.Thread(target=rate, args=(person,)) for person in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert len(list(store.all())) == 6 * 5


WRITER = """
import sys
from dataclasses import replace
from musiscene.study.store import Rating, RatingStore
store = RatingStore(sys.argv[1])
for index in range(20):
    store.save(Rating(f"process {sys.argv[2]}", f"r{index}", "0" * 64, "a.mp4", "msi", "t", "b", "g", 1, None, 1.0, 5))
"""


@pytest.mark.slow(seconds=2)
def test_many_processes_share_one_database(url: str, store: RatingStore) -> None:
    """Processes that start at once on an empty database make its table once and lose no rating."""
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, url, str(number)]) for number in range(3)]

    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0]
    assert len(list(store.all())) == 60


def test_only_the_name_of_the_clip_is_kept(store: RatingStore) -> None:
    """Folders of the person's machine, in either style, never reach the database."""
    store.save(replace(RATING, clip_name="/home/ada/films/train.mp4"))
    store.save(replace(RATING, rendition_id="r2", clip_name="C:\\Users\\ada\\train.mp4"))

    assert {rating.clip_name for rating in store.all()} == {"train.mp4"}


def test_silence_has_no_loudness(store: RatingStore) -> None:
    """The loudness of silence, minus infinity, is kept as unknown."""
    store.save(replace(RATING, loudness_lufs=float("-inf")))

    assert next(store.all()).loudness_lufs is None


@given(text=st.text(alphabet=st.characters(), max_size=60))
@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_text_can_be_kept(store: RatingStore, text: str) -> None:
    """Comments and captions of any characters, lone surrogates and NUL among them, are taken."""
    store.save(replace(RATING, comment=text, caption_text=text))

    expected = text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
    assert next(store.all()).comment == expected


@pytest.mark.parametrize("score", [-1, 100.5, float("nan"), float("inf")])
def test_a_rating_outside_the_scale_is_refused(score: float) -> None:
    """Only 0 to 100 is a rating, and the sentence says so."""
    with pytest.raises(RequestError, match="0 to 100"):
        replace(RATING, score=score)


def test_the_database_itself_refuses_a_score_outside_the_scale(store: RatingStore, url: str) -> None:
    """The rule is a constraint of the table, so that no other program can break it."""
    store.save(RATING)
    engine = sa.create_engine(url)

    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.execute(sa.update(ratings_table).values(score=101))

    engine.dispose()


def test_a_comment_has_a_limit() -> None:
    """A comment of any length would fill the disk; the sentence names the limit."""
    with pytest.raises(RequestError, match="2000"):
        replace(RATING, comment="x" * 2001)


def test_summaries_have_a_mean_and_an_interval(store: RatingStore) -> None:
    """Per kind and over all, of one clip or of every clip."""
    for index, score in enumerate((40, 50, 60)):
        store.save(replace(RATING, rendition_id=f"m{index}", score=score))
    store.save(replace(RATING, rendition_id="v", caption_kind="video", score=90, clip_hash="1" * 64))

    of_clip = {summary.group: summary for summary in store.summaries("0" * 64)}
    of_all = {summary.group: summary for summary in store.summaries()}

    assert set(of_clip) == {"music", "all"}
    assert (of_clip["music"].count, of_clip["music"].mean) == (3, 50)
    # t(0.975, 2) = 4.3027 and s / √3 = 5.7735
    assert of_clip["music"].low == pytest.approx(50 - 24.84, abs=0.01)
    assert of_clip["music"].high == pytest.approx(50 + 24.84, abs=0.01)
    assert of_all["all"].count == 4
    assert of_all["video"].low is None


def test_no_ratings_have_no_summary(store: RatingStore) -> None:
    """An empty database gives an empty list."""
    assert store.summaries() == []


@given(st.lists(st.floats(0, 100), min_size=2, max_size=30))
def test_an_interval_holds_its_mean_and_stays_on_the_scale(scores: list[float]) -> None:
    """Whatever the ratings: 0 <= low <= mean <= high <= 100, up to rounding."""
    summary = summarize("all", scores)

    assert summary.low is not None and summary.high is not None
    assert 0 <= summary.low <= summary.mean + 1e-9
    assert summary.mean - 1e-9 <= summary.high <= 100


def test_the_export_cannot_run_formulas(store: RatingStore) -> None:
    """A comment that a spreadsheet would run as a formula is exported as text."""
    for index, comment in enumerate(("=HYPERLINK(1)", "+1", "-1", "@x", "\t=1", " =1", "plain")):
        store.save(replace(RATING, rendition_id=f"r{index}", comment=comment))
    out = io.StringIO()

    assert store.export_csv(out) == 7

    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert [row["comment"][0] for row in rows] == ["'"] * 6 + ["p"]
    assert float(rows[0]["loudness_lufs"]) == pytest.approx(-16.02)


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    """A file where the folder should be gives a sentence that says what was not done."""
    (tmp_path / "file").write_text("in the way")
    store = RatingStore(f"sqlite:///{tmp_path / 'file' / 'ratings.db'}")

    with pytest.raises(StorageError, match="saving the rating"):
        store.save(RATING)


def test_a_damaged_database_is_told_in_a_sentence(tmp_path: Path) -> None:
    """A file that is not a database is not overwritten."""
    path = tmp_path / "ratings.db"
    path.write_bytes(b"this is not a database" * 100)
    store = RatingStore(f"sqlite:///{path}")

    with pytest.raises(StorageError, match="not a database"):
        store.save(RATING)
    assert path.read_bytes().startswith(b"this is not")


def test_a_server_that_is_away_is_told_without_its_password() -> None:
    """The sentence has the address but never the password."""
    store = RatingStore("postgresql+psycopg://ada:hunter2@127.0.0.1:9/ratings")

    with pytest.raises(StorageError) as caught:
        store.save(RATING)
    assert "127.0.0.1" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("address", ["not an address", "nosuchdatabase://x/y"])
def test_a_wrong_address_names_the_setting(address: str) -> None:
    """The next step is the name of the environment variable."""
    with pytest.raises(ConfigError, match="MUSISCENE_DATABASE_URL"):
        RatingStore(address)
