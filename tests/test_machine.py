"""What this machine can run, in words."""

from dataclasses import replace
from pathlib import Path

import pytest

from musiscene.errors import UnknownBackendError
from musiscene.machine import Check, Report, examine
from musiscene.settings import Settings


def by_name(report: Report) -> dict[str, Check]:
    return {check.name: check for check in report.checks}


def test_a_machine_that_can_sketch_is_fine(tmp_path: Path) -> None:
    """Absent extras are no fault; each says how to get it."""
    report = examine(Settings(data_dir=tmp_path, work_dir=tmp_path))

    assert report.ok
    assert report.reason.startswith("sketch, because")
    for check in report.checks:
        if check.name.startswith("Extra") and check.ok is None:
            assert "pip install" in check.todo


def test_broken_settings_are_faults_with_a_next_step(tmp_path: Path) -> None:
    """A SoundFont that is not there, an address that is none."""
    settings = Settings(
        data_dir=tmp_path, work_dir=tmp_path, soundfont=tmp_path / "none.sf2", database_url="not an address"
    )
    report = examine(settings)

    assert not report.ok
    assert "MUSISCENE_SOUNDFONT" in by_name(report)["SoundFont"].todo
    assert by_name(report)["Ratings"].ok is False


def test_a_password_is_never_shown(tmp_path: Path) -> None:
    """Of the database's address only the harmless part is."""
    settings = Settings(data_dir=tmp_path, work_dir=tmp_path, database_url="postgresql+psycopg://me:hush@db/ratings")

    assert "hush" not in str(examine(settings).as_dict())


def test_an_unknown_profile_is_refused(tmp_path: Path) -> None:
    """With those there are."""
    with pytest.raises(UnknownBackendError, match="sketch"):
        examine(replace(Settings(data_dir=tmp_path), profile="nonsense"))
