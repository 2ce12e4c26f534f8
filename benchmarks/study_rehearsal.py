"""The paper's two forms, end to end through the real HTTP interface, by simulated participants with known effects.

    python benchmarks/study_rehearsal.py [--forms form-1:68 form-2:50]

Makes small renditions, freezes each form, starts its server, lets everybody go through it (consent, checks, trials,
questions, code) and analyses the database. A participant's browser knows no conditions, so the ratings are drawn by
looking up, in the database, which soundtrack is behind an id.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "study"), str(ROOT / "benchmarks")]

from small_study import make_renditions  # noqa: E402
from study_load import Server  # noqa: E402

from musiscene.mux import picture_only  # noqa: E402
from musiscene.study.analysis.frames import study_data  # noqa: E402
from musiscene.study.analysis.results import analyse  # noqa: E402
from musiscene.study.database import Database  # noqa: E402
from musiscene.study.design import Design, load_design  # noqa: E402
from musiscene.study.freezing import freeze  # noqa: E402
from musiscene.study.schema import steps, stimuli  # noqa: E402
from musiscene.study.simulated import Population, SimulatedRater, answer_page  # noqa: E402


def walk(client: httpx.Client, base: str, engine: sa.Engine, design: Design, rater: SimulatedRater, person: int) -> int:
    """One participant; how many ratings were acknowledged."""
    token = f"person-{person:032d}"
    view = client.post(f"{base}/enter", json={"token": token, "person": f"pid{person:05d}", "language": "en"}).json()
    count = 0
    while view["step"]["kind"] != "end":
        step = view["step"]
        answer: dict[str, Any] = answer_page(view, design)
        if step["kind"] == "headphones":
            with engine.connect() as connection:
                secret = connection.execute(
                    sa.select(steps.c.secret).where(steps.c.public_id == step["id"])
                ).scalar_one()
            answer = {"choices": secret["right"]}
        elif step["kind"] in ("trial", "practice"):
            with engine.connect() as connection:
                query = sa.select(stimuli.c.public_id, stimuli.c.item, stimuli.c.condition)
                known = {
                    row.public_id: row
                    for row in connection.execute(query.where(stimuli.c.public_id.in_(step["tracks"])))
                }
            for rating in answer["ratings"]:
                track = known[rating["slot"]]
                rating["value"] = min(100.0, max(0.0, float(round(rater.rate(person, track.item, track.condition)))))
        save = {"token": token, "step": step["id"], "save_id": f"save-{step['number']:08d}", "answer": answer}
        response = client.post(f"{base}/save", json=save)
        response.raise_for_status()
        view = response.json()
        count += len(answer.get("ratings", []))
    return count


def rehearse(form: str, people: int, folder: Path) -> None:
    """Run one form and print what came out."""
    preset = ROOT / "assets" / "studies" / f"{form}.toml"
    design = load_design(preset)
    text = preset.read_text("utf-8")
    names = ("alphaone", "betatwo", "gammathree")
    sources = make_renditions(folder / "sources", design.item_count + 1, 0.6)
    for source in sources.iterdir():
        for name, condition in zip(names, design.conditions, strict=False):
            (source / f"{name}.wav").rename(source / f"{condition}.wav")
    (folder / "study.toml").write_text(text, "utf-8")
    freeze(folder / "study.toml", [sources], folder / "frozen", write_picture=picture_only)
    url = f"sqlite:///{folder / 'study.db'}"
    server = Server(folder / "frozen", url, folder)
    server.start()
    means = dict.fromkeys(design.conditions, 50.0)
    means[design.conditions[-1]] = 60.0
    rater = SimulatedRater(Population(means={**means, "reference": 80.0, "anchor": 15.0}), 20250705)
    engine = sa.create_engine(url)
    started = time.perf_counter()
    try:
        with httpx.Client(timeout=60) as client:
            base = f"http://127.0.0.1:{server.port}/study/{design.name}/api"
            acknowledged = sum(walk(client, base, engine, design, rater, person) for person in range(1, people + 1))
    finally:
        server.kill()
        engine.dispose()
    result = analyse(study_data(Database(url), design.name))
    counts = result.balance[list(design.conditions)].to_numpy()
    print(
        f"{form}, {people} participants over HTTP in {time.perf_counter() - started:.0f} s: {acknowledged} ratings "
        f"acknowledged, {result.raw.ratings} in the main trials, {counts.min()} to {counts.max()} a cell, "
        f"{result.progress.finished} finished",
        flush=True,
    )
    for gap in result.raw.differences:
        print(
            f"  {gap.second} - {gap.first}: {gap.estimate:+.1f} ({gap.low:.1f} to {gap.high:.1f}), p {gap.p_holm:.4f}, "
            f"true {means[gap.second] - means[gap.first]:+.0f}",
            flush=True,
        )


def main() -> None:
    """Both forms."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forms", nargs="*", default=["form-1:68", "form-2:50"])
    for entry in parser.parse_args().forms:
        form, people = entry.split(":")
        folder = Path(tempfile.mkdtemp(prefix="study-rehearsal-"))
        try:
            rehearse(form, int(people), folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
