"""Errors become one sentence; defects become an id."""

import errno
import io
import logging

from musiscene import errors


def test_our_errors_speak_for_themselves() -> None:
    """Their message is written to be shown."""
    assert errors.explain(errors.MediaError("No picture."), "reading") == "No picture."


def test_a_defect_is_shown_as_an_id_that_is_in_the_log() -> None:
    """Nothing of the defect itself reaches a person."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    log = logging.getLogger("musiscene.errors")
    log.addHandler(handler)
    try:
        shown = errors.explain(ValueError("secret /path"), "writing the music caption")
    finally:
        log.removeHandler(handler)

    error_id = shown.split("under ")[1].split(";")[0]
    assert "secret" not in shown
    assert error_id in written.getvalue()
    assert "secret /path" in written.getvalue()


def test_a_full_disk_and_full_memory_are_said_in_words() -> None:
    """These two happen to people, not to programs."""
    assert "disk is full" in errors.explain(OSError(errno.ENOSPC, "x"), "saving")
    assert "memory" in errors.explain(MemoryError(), "saving")


def test_the_drawn_tree_is_the_tree() -> None:
    """Every class of the module is drawn in its docstring, and nothing else is."""
    classes = {n for n, c in vars(errors).items() if isinstance(c, type) and issubclass(c, errors.MusisceneError)}
    drawn = {line.strip("│├└─ ").split()[0] for line in (errors.__doc__ or "").split("```")[1].splitlines()[1:] if line}

    assert classes == drawn
