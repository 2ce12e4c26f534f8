"""The paper's two forms, end to end through the real HTTP interface, by simulated participants with known effects.

    python benchmarks/study_rehearsal.py [--forms form-1:68 form-2:50]

Makes small renditions, freezes each form, starts its server, lets everybody go through it (consent, checks, trials,
questions, code) and analyses the database.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "study"), str(ROOT / "benchmarks")]

from served_study import Caller, walk  # noqa: E402
from small_study import make_renditions  # noqa: E402
from study_load import Server  # noqa: E402

from musiscene.mux import picture_only  # noqa: E402
from musiscene.study.analysis.frames import study_data  # noqa: E402
from musiscene.study.analysis.results import analyse  # noqa: E402
from musiscene.study.database import Database  # noqa: E402
from musiscene.study.design import load_design  # noqa: E402
from musiscene.study.freezing import freeze  # noqa: E402
from musiscene.study.simulated import Population, SimulatedRater  # noqa: E402


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
        caller = Caller(server.port, design.name)
        acknowledged = sum(walk(caller, engine, design, rater, person) for person in range(1, people + 1))
        caller.close()
    finally:
        server.kill()
        engine.dispose()
    walked = time.perf_counter() - started
    result = analyse(study_data(Database(url), design.name))
    counts = result.balance[list(design.conditions)].to_numpy()
    print(
        f"{form}, {people} participants over HTTP in {walked:.0f} s: {acknowledged} ratings "
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
