"""Over HTTP: a whole study, nothing that tells a condition, and hostile input refused with a sentence."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from musiscene.study.analysis.frames import study_data
from musiscene.study.bundle import Bundle
from musiscene.study.database import Database
from musiscene.study.exporting import anonymise, csv_text, delete_participant, export
from musiscene.study.simulated import answer_page
from musiscene.study.taking_part import Study
from musiscene.ui.study_results import results_routes
from musiscene.ui.study_routes import STATIC, study_routes, text_languages

TOKEN = "t" * 32
FORMULA = '=HYPERLINK("http://x")<script>alert(1)</script>'


@pytest.fixture
def study_and_client(make_bundle: Callable[..., Bundle], tmp_path: Path) -> Iterator[tuple[Study, TestClient]]:
    """A study served as in the real application, with the results beside it."""
    database = Database(f"sqlite:///{tmp_path / 'study.db'}")
    study = Study(make_bundle(), database)
    app = Starlette(routes=[*study_routes({"tiny": study}), *results_routes(database, "correct horse")])
    with TestClient(app, raise_server_exceptions=False) as client:
        yield study, client
    database.close()


def post(client: TestClient, action: str, **body: Any) -> Any:
    """One call of the page's script."""
    return client.post(f"/study/tiny/api/{action}", json={"token": TOKEN, **body})


def whole_study(study: Study, client: TestClient, received: list[bytes], **enter: Any) -> None:
    """Answer everything, fetch every file, and note every byte and header that came."""

    def noted(response: Any) -> Any:
        assert response.status_code == 200, response.text
        received.append(str(response.headers).encode() + str(response.url).encode() + response.content)
        return response

    view = noted(post(client, "enter", **enter)).json()
    while view["step"]["kind"] != "end":
        step = view["step"]
        files = [step.get("picture"), *step.get("tracks", []), *step.get("sounds", [])]
        for file in filter(None, files):
            noted(client.get(f"/study/tiny/media/{file}"))
        answer = answer_page(view, study.design)
        if step["kind"] == "questions":
            answer["answers"]["words"] = FORMULA
        save = {
            **{k: v for k, v in enter.items() if k == "token"},
            "step": step["id"],
            "save_id": f"save-{step['number']:06d}",
            "answer": answer,
        }
        view = noted(post(client, "save", **save)).json()


def test_nothing_that_reaches_a_browser_tells(study_and_client: tuple[Study, TestClient]) -> None:
    """Pages, scripts, JSON, media, names and headers hold no condition, source name, caption or hash."""
    study, client = study_and_client
    received = [client.get("/study/tiny").content]
    whole_study(study, client, received)

    tracks = [track for item in study.bundle.items for track in item.tracks.values()]
    words = [*study.design.conditions, "secretclip", "reference", "anchor", "repeat", "mismatch"]
    words += [track.file for track in tracks] + [track.sha256 for track in tracks]
    words += [track.source["source_sha256"] for track in tracks] + [item.picture for item in study.bundle.items]
    everything = b"\n".join(received)
    for word in words:
        assert word.encode() not in everything, word
    for header in (b"etag", b"last-modified", b"content-disposition", b"set-cookie"):
        assert header not in everything.lower()
    hashes = {hashlib.sha256(body).hexdigest() for body in received}
    assert not hashes & {track.source["source_sha256"] for track in tracks}


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"null", b"{", b"\xff\xfe", b'{"token": NaN}', b'{"token": "' + b"x" * 100_000 + b'"}',
        b"[" * 100_000, b'{"token": 1e999}', b'{"token": ' + b"9" * 5000 + b"}",
    ],
    ids=range(10),
)  # fmt: skip
def test_unreadable_messages_are_refused(study_and_client: tuple[Study, TestClient], body: bytes) -> None:
    """Whatever arrives, the answer is a sentence and a status of four hundred."""
    _, client = study_and_client
    for action in ("enter", "view", "save", "note"):
        response = client.post(f"/study/tiny/api/{action}", content=body)
        assert 400 <= response.status_code < 500, response.text
        assert response.json()["message"].endswith(".")


def test_hostile_values_are_refused(study_and_client: tuple[Study, TestClient]) -> None:
    """Long names, forged ids, other studies, too much at once: refused; the participant goes on as before."""
    study, client = study_and_client
    view = post(client, "enter").json()
    good = {"step": view["step"]["id"], "save_id": "save-000001", "answer": {"accepted": True, "language": "en"}}

    assert post(client, "enter", token="n" * 32, person="p" * 100_000).status_code == 400
    assert post(client, "enter", token="n" * 32, person="<script>").status_code == 400
    assert post(client, "enter", token="n" * 100_000).status_code == 400
    assert post(client, "save", **{**good, "step": "x" * 22}).status_code == 404
    assert post(client, "save", **{**good, "token": "x" * 32}).status_code == 401
    assert post(client, "save", **{**good, "answer": {"accepted": "yes"}}).status_code == 400
    assert post(client, "save", **{**good, "events": [{"id": "e" * 12, "kind": "hack", "at_s": 1}]}).status_code == 400
    assert post(client, "save", **{**good, "events": [{"id": "e" * 12, "kind": "play", "at_s": -5}]}).status_code == 400
    assert post(client, "save", **{**good, "answer": {"x": "y" * 600_000}}).status_code == 413
    assert client.get("/study/nothing").status_code == 404
    assert client.get("/study/tiny/media/..%2F..%2Fstudy.toml").status_code == 404
    assert client.get("/study-static/..%2Fapp.py").status_code == 404
    assert client.get("/study-static/study_..%2F.json").status_code == 404
    assert post(client, "save", **good).status_code == 200
    assert post(client, "save", **good).status_code == 200  # a replay
    assert len(study_data(study._database, "tiny").participants) == 1


def test_a_resume_link_goes_on_where_it_was_left(study_and_client: tuple[Study, TestClient]) -> None:
    """The key in the link opens the same page in a browser that knows nothing else; both devices may go on."""
    study, client = study_and_client
    view = post(client, "enter").json()
    for number in range(3):
        given = {"step": view["step"]["id"], "save_id": f"save-{number:06d}", "answer": answer_page(view, study.design)}
        view = post(client, "save", **given).json()

    with TestClient(Starlette(routes=study_routes({"tiny": study}))) as other:
        assert other.get("/study/tiny").status_code == 200
        assert post(other, "view").json() == view
        left = {"step": view["step"]["id"], "save_id": "save-000100", "answer": answer_page(view, study.design)}
        after = post(other, "save", **left).json()
        assert after["step"]["number"] == view["step"]["number"] + 1

        late = post(client, "save", **{**left, "save_id": "save-000200"})  # the first device did not know
        assert (late.status_code, late.json()["error"]) == (409, "already")
        assert post(client, "view").json() == after

        while after["step"]["kind"] != "end":
            step = after["step"]
            given = {"step": step["id"], "save_id": f"last-{step['number']:06d}"}
            after = post(other, "save", **given, answer=answer_page(after, study.design)).json()
    data = study_data(study._database, "tiny")
    assert len(data.participants) == 1 and data.participants["finished_at"].notna().all()
    assert post(client, "view").json() == after


def test_a_resume_link_that_leads_nowhere_is_answered_in_words(study_and_client: tuple[Study, TestClient]) -> None:
    """A link that is cut off, an anonymised study and one that has ended get a sentence, and nobody new is let in."""
    study, client = study_and_client
    view = post(client, "enter").json()
    for token in (TOKEN[:-1], TOKEN[:3]):
        cut = post(client, "view", token=token)
        assert cut.status_code in (400, 401) and cut.json()["message"].endswith(".")
    anonymise(study._database, "tiny")
    gone = post(client, "view")
    assert (gone.status_code, gone.json()["message"]) == (
        401,
        "Nobody here has that key. Open the link to the study again.",
    )
    assert len(study_data(study._database, "tiny").participants) == 1

    with TestClient(Starlette(routes=study_routes({}))) as closed:
        page = closed.get("/study/tiny")
        assert (page.status_code, page.text[:29]) == (404, "There is no study at this add")
        given = {"step": view["step"]["id"], "save_id": "save-000001", "answer": {}}
        for answer in (post(closed, "view"), post(closed, "save", **given)):
            assert answer.status_code == 404 and "the study has ended" in answer.json()["message"]


def test_a_failing_database_loses_and_leaks_nothing(study_and_client: tuple[Study, TestClient], tmp_path: Path) -> None:
    """When nothing can be written the page is told to try again, without paths; afterwards the same answer is taken."""
    study, client = study_and_client
    view = post(client, "enter").json()
    good = {"step": view["step"]["id"], "save_id": "save-000001", "answer": {"accepted": True, "language": "en"}}
    with study._database.writing("breaking it") as connection:
        connection.exec_driver_sql("ALTER TABLE study_steps RENAME TO gone")
    response = post(client, "save", **good)
    assert response.status_code == 503
    assert str(tmp_path) not in response.text and "gone" not in response.text
    with study._database.writing("repairing it") as connection:
        connection.exec_driver_sql("ALTER TABLE gone RENAME TO study_steps")

    assert post(client, "save", **good).status_code == 200


def test_exports_are_complete_and_safe(study_and_client: tuple[Study, TestClient], tmp_path: Path) -> None:
    """Three formats hold the same rows; a formula is text; every column is in the dictionary."""
    import pandas as pd

    study, client = study_and_client
    whole_study(study, client, [], person="5f0000000000000000000001")
    export(study._database, "tiny", tmp_path / "out")

    tables = {kind: tmp_path / "out" / f"ratings.{kind}" for kind in ("csv", "json", "parquet")}
    frames = [
        pd.read_csv(tables["csv"]),
        pd.DataFrame(json.loads(tables["json"].read_text())),
        pd.read_parquet(tables["parquet"]),
    ]
    assert len({len(frame) for frame in frames}) == 1 and len(frames[0]) > 15
    assert all(list(frame.columns) == list(frames[0].columns) for frame in frames)
    assert all((frame["value"] == frames[0]["value"]).all() for frame in frames)
    people = (tmp_path / "out" / "participants.csv").read_text()
    assert "'=HYPERLINK" in people and ",=HYPERLINK" not in people and ',"=HYPERLINK' not in people
    dictionary = pd.read_csv(tmp_path / "out" / "dictionary.csv")
    assert dictionary["meaning"].notna().all()
    assert "'+1" in csv_text(pd.DataFrame({"a": ["+1"]})) and "'@x" in csv_text(pd.DataFrame({"a": ["@x"]}))


def test_data_can_be_deleted_and_made_anonymous(study_and_client: tuple[Study, TestClient]) -> None:
    """Deletion by the quoted code takes everything of one person; anonymising takes ids and links of all."""
    study, client = study_and_client
    whole_study(study, client, [], person="5f0000000000000000000001")
    code = post(client, "view").json()["code"]
    whole_study(study, client, [], token="u" * 32, person="5f0000000000000000000002")

    with pytest.raises(Exception, match="Nobody"):
        delete_participant(study._database, "tiny", "0000000000")
    delete_participant(study._database, "tiny", code)
    left = study_data(study._database, "tiny")
    assert list(left.participants["external_id"]) == ["5f0000000000000000000002"]
    assert set(left.ratings["participant"]) == set(left.participants["participant"])
    assert post(client, "view").status_code == 401
    anonymise(study._database, "tiny")
    assert study_data(study._database, "tiny").participants["external_id"].isna().all()
    assert post(client, "view", token="u" * 32).status_code == 401
    assert len(study_data(study._database, "tiny").ratings) == len(left.ratings)


@pytest.mark.slow(seconds=4)
def test_results_are_behind_a_door(study_and_client: tuple[Study, TestClient]) -> None:
    """Without the password there is a form and nothing else; with it a report and the data; tries are limited."""
    study, client = study_and_client
    whole_study(study, client, [])
    for path in ("/results", "/results/tiny", "/results/tiny/data.zip"):
        page = client.get(path)
        assert "Password" in page.text and "tiny" not in page.text
    client.cookies.set("musiscene_results", "9999999999.abc")
    assert client.get("/results").text.count("Password") == 1
    client.cookies.clear()
    assert client.post("/results", data={"password": "wrong"}).status_code == 403
    assert "tiny" in client.post("/results", data={"password": "correct horse"}).text
    assert "Music for clips" in client.get("/results/tiny").text
    archive = zipfile.ZipFile(io.BytesIO(client.get("/results/tiny/data.zip").content))
    assert {"ratings.csv", "ratings.parquet", "report.html", "means.svg", "means.png", "dictionary.csv"} <= set(
        archive.namelist()
    )
    assert client.get("/results/unknown").status_code == 404
    for _ in range(12):
        client.post("/results", data={"password": "wrong"})
    client.cookies.clear()
    assert client.post("/results", data={"password": "correct horse"}).status_code == 403


def test_without_a_password_there_are_no_results(tmp_path: Path) -> None:
    """The address does not exist."""
    assert results_routes(Database(f"sqlite:///{tmp_path / 'study.db'}"), "") == []


def test_every_language_has_every_text() -> None:
    """The files of the languages have the same keys and the same placeholders."""
    texts = {code: json.loads((STATIC / f"study_{code}.json").read_text("utf-8")) for code in text_languages()}

    assert {"en", "zh", "es"} <= set(texts)
    for code, words in texts.items():
        assert set(words) == set(texts["en"]), code
        for key, text in words.items():
            named = {part.split("}")[0] for part in text.split("{")[1:]}
            assert named == {part.split("}")[0] for part in texts["en"][key].split("{")[1:]}, (code, key)
