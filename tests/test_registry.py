"""Backends are found, named, and loaded once; and what every backend promises."""

import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from musiscene.errors import BackendUnavailableError, UnknownBackendError
from musiscene.registry import BackendSpec, Captioner, MusicGenerator, Pool, discover, find_captioner, find_generator
from musiscene.types import CaptionKind

ALL = [
    pytest.param(stage, spec, id=f"{stage}-{spec.name}")
    for stage in ("captions", "soundtracks")
    for spec in discover(stage)
]


def test_a_listing_costs_no_heavy_import() -> None:
    """Names, licences and reasons are shown on machines where the libraries are absent."""
    heavy = ["torch", "transformers", "gradio", "matplotlib", "cv2", "scenedetect", "scipy"]
    code = (
        "import sys; from musiscene.registry import discover\n"
        "[spec.why_unavailable() for stage in ('captions', 'soundtracks') for spec in discover(stage)]\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )

    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


@pytest.mark.parametrize(("stage", "spec"), ALL)
def test_every_backend_tells_what_a_person_needs_to_know(stage: str, spec: BackendSpec) -> None:
    """A sentence, a licence, what it makes, and what to install."""
    assert spec.summary.endswith(".")
    assert spec.license
    assert bool(spec.produces) == (stage == "captions")
    assert bool(spec.packages) == bool(spec.extra), "what the core brings is always there"
    reason = spec.why_unavailable()
    assert reason is None or reason.rstrip().endswith((".", "`"))


@pytest.mark.parametrize(("stage", "spec"), ALL)
def test_every_backend_that_can_run_here_loads_as_what_it_is(stage: str, spec: BackendSpec) -> None:
    """One that cannot run is refused in words instead."""
    pool = Pool()
    wanted: Any = Captioner if stage == "captions" else MusicGenerator
    if spec.why_unavailable():
        with pytest.raises(BackendUnavailableError):
            pool.captioner(spec)
    else:
        assert isinstance(pool.captioner(spec) if stage == "captions" else pool.generator(spec), wanted)


def test_names_are_unique_for_what_they_make() -> None:
    """A name and a kind lead to one backend."""
    for kind in CaptionKind:
        names = [spec.name for spec in discover("captions") if kind in spec.produces]
        assert len(names) == len(set(names))
        assert "sketch" in names


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    """The message is enough to correct the mistake."""
    with pytest.raises(UnknownBackendError, match="sketch"):
        find_captioner(CaptionKind.MUSIC, "nonsense")
    with pytest.raises(UnknownBackendError, match="sketch"):
        find_generator("nonsense")


def test_a_backend_is_loaded_once_however_many_ask_at_once() -> None:
    """Twelve threads get the same object, made by one call."""
    made: list[object] = []

    def load(options: Any) -> object:
        time.sleep(0.05)
        made.append(object())
        return made[-1]

    spec, pool, got = BackendSpec("slow", load, "Slow."), Pool(), []
    threads = [threading.Thread(target=lambda: got.append(pool.generator(spec))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == 1
    assert set(map(id, got)) == {id(made[0])}


def test_missing_packages_are_named_with_the_command_that_brings_them() -> None:
    """The extra is in the sentence."""
    spec = BackendSpec("big", lambda options: object(), "Big.", extra="models", packages=("no_such_package",))

    with pytest.raises(BackendUnavailableError, match=r"no_such_package.*musiscene\[models\]"):
        Pool().generator(spec)


def test_options_reach_the_backend_they_are_for() -> None:
    """By its name."""
    spec = BackendSpec("mine", lambda options: dict(options), "Mine.")

    assert Pool(options={"mine": {"a": 1}, "other": {"b": 2}}).generator(spec) == {"a": 1}  # type: ignore[comparison-overlap]
