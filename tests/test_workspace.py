"""Folders of requests."""

import os
import time
from pathlib import Path

import pytest

from musiscene.errors import StorageError
from musiscene.workspace import clean, new_folder


def test_folders_are_private_and_never_the_same(tmp_path: Path) -> None:
    """Two people at once get two folders whose names cannot be guessed."""
    first, second = new_folder(tmp_path / "work"), new_folder(tmp_path / "work")

    assert first != second
    assert len(first.name) >= 20
    assert first.stat().st_mode & 0o077 == 0


def test_old_folders_go_and_new_ones_stay(tmp_path: Path) -> None:
    """Age is counted from the last file written."""
    old, fresh = new_folder(tmp_path), new_folder(tmp_path)
    (old / "file").write_text("x")
    past = time.time() - 100
    os.utime(old, (past, past))

    assert clean(tmp_path, keep_s=50) == 1
    assert not old.exists()
    assert fresh.exists()


def test_cleaning_a_folder_that_is_not_there_is_fine(tmp_path: Path) -> None:
    """A first start has nothing to clean."""
    assert clean(tmp_path / "none", keep_s=1) == 0


def test_a_folder_that_cannot_be_made_is_said_in_words(tmp_path: Path) -> None:
    """The sentence names the setting to change."""
    (tmp_path / "file").write_text("x")

    with pytest.raises(StorageError, match="MUSISCENE_WORK_DIR"):
        new_folder(tmp_path / "file")
