"""What the page tells of the machine."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from musiscene.pipeline import Pipeline
from musiscene.ui.availability import Availability
from musiscene.ui.machine_view import machine_view
from musiscene.ui.texts import LANGUAGES


def test_every_profile_says_what_it_costs_and_the_next_step(pipeline: Pipeline) -> None:
    """The sketch profile is ready and free; of the paper's, what is missing has a licence, a size and a command."""
    view = machine_view(pipeline, Availability(pipeline.pool))
    sketch, paper = view["profiles"]

    assert sketch["in_use"] and sketch["ready"]
    assert {engine["costs"] for engine in sketch["engines"]} == {"nothing"}
    assert not paper["ready"]
    missing = [engine for engine in paper["engines"] if not engine["ready"]]
    assert missing and all(engine["next_step"] and engine["license"] for engine in missing)
    assert any("GB to download" in engine["costs"] for engine in missing)
    assert any("access must be asked for" in engine["costs"] for engine in missing)


def test_no_path_of_the_machine_is_told(pipeline: Pipeline) -> None:
    """Neither the data folder nor the home folder is in what a browser receives."""
    told = json.dumps(machine_view(pipeline, Availability(pipeline.pool)))

    assert str(pipeline.settings.data_dir) not in told


def test_it_speaks_other_languages(pipeline: Pipeline) -> None:
    """Names and costs follow the page; licences stay as they are named."""
    view = machine_view(pipeline, Availability(pipeline.pool), LANGUAGES["es"])

    assert view["profiles"][0]["title"] == "Boceto"
    assert view["facts"][0][0] == "Procesador"


@pytest.mark.slow
def test_looking_costs_no_torch() -> None:
    """The page of a small machine does not load gigabytes to say that they are not needed."""
    code = (
        "import sys; from musiscene.pipeline import Pipeline; from musiscene.settings import Settings; "
        "from musiscene.ui.availability import Availability; from musiscene.ui.machine_view import machine_view; "
        "pipeline = Pipeline(Settings(profile='sketch')); machine_view(pipeline, Availability(pipeline.pool)); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
