"""A study behind a real loopback server, and simulated participants who walk through it; for tests and benchmarks."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
import uvicorn
from starlette.applications import Starlette

from musiscene.study.bundle import Bundle
from musiscene.study.database import Database
from musiscene.study.design import Design
from musiscene.study.schema import participants, steps, stimuli
from musiscene.study.simulated import SimulatedRater, answer_page
from musiscene.study.taking_part import Study
from musiscene.ui.study_routes import study_routes

RATED = ("trial", "repeat", "practice")


class Caller:
    """The script's messages over one connection that is kept."""

    def __init__(self, port: int, study: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._path = f"/study/{study}/api/"

    def post(self, action: str, **body: Any) -> Any:
        """What is answered."""
        self._connection.request("POST", self._path + action, json.dumps(body).encode(), {"User-Agent": "simulated"})
        response = self._connection.getresponse()
        text = response.read()
        assert response.status == 200, text
        return json.loads(text)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


@contextmanager
def served(bundle: Bundle, database: Database) -> Iterator[int]:
    """The port of a server in this process that has the study's own routes and storage."""
    app = Starlette(routes=study_routes({bundle.design.name: Study(bundle, database)}))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()


def walk(caller: Caller, engine: sa.Engine, design: Design, rater: SimulatedRater, person: int) -> int:
    """One participant, from consent to the code; how many ratings were acknowledged.

    A browser knows no conditions, so the ratings are drawn by looking up in the database which soundtrack is behind an
    id, and so is what one hears in the headphone check.
    """
    token = f"person-{person:032d}"
    view = caller.post("enter", token=token, person=f"pid{person:05d}", language=design.languages[0])
    known, heard = _behind(engine, f"pid{person:05d}")
    count = 0
    while view["step"]["kind"] != "end":
        step = view["step"]
        answer: dict[str, Any] = answer_page(view, design)
        if step["kind"] == "headphones":
            answer = {"choices": heard}
        elif step["kind"] in RATED:
            values = [rater.rate(person, *known[slot]) for slot in step["tracks"]]
            for rating, value in zip(answer["ratings"], values, strict=True):
                rating["value"] = min(100.0, max(0.0, float(round(value))))
        view = caller.post("save", token=token, step=step["id"], save_id=f"save-{step['number']:08d}", answer=answer)
        count += len(answer.get("ratings", []))
    return count


def _behind(engine: sa.Engine, person: str) -> tuple[dict[str, tuple[int, str]], list[int]]:
    """Public id -> item and condition of every soundtrack of `person`, and the right choices of the headphone check."""
    mine = sa.select(participants.c.id).where(participants.c.external_id == person).scalar_subquery()
    slots = sa.select(stimuli.c.public_id, stimuli.c.item, stimuli.c.condition).join(
        steps, steps.c.id == stimuli.c.step_id
    )
    check = sa.select(steps.c.secret).where(steps.c.participant_id == mine, steps.c.kind == "headphones")
    with engine.connect() as connection:
        rows = connection.execute(slots.where(steps.c.participant_id == mine)).all()
        secret = connection.execute(check).scalar()
    return {row.public_id: (row.item, row.condition) for row in rows}, secret["right"] if secret else []
