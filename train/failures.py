"""What can go wrong in a run, in one sentence with the next step; defects keep their traceback."""

from __future__ import annotations

import errno
import sys
import traceback
from collections.abc import Callable

from musiscene.errors import MusisceneError, Stopped


class TrainingError(MusisceneError):
    """A run cannot go on; what it had saved is intact."""


def told(error: BaseException) -> str | None:
    """One sentence about an error that a person can do something about; None for a defect.

    Args:
        error: What ended the run.
    """
    if isinstance(error, MusisceneError):
        return str(error)
    if isinstance(error, MemoryError) or (type(error) is RuntimeError and "allocate memory" in str(error)):
        return "The main memory is full. Lower batches.tokens, or close other programs; the last checkpoint is intact."
    if type(error).__name__ in ("OutOfMemoryError", "AcceleratorError") and "memory" in str(error).lower():
        return (
            "The GPU's memory is full. Lower batches.tokens, set memory.gradient_checkpointing = true, or train "
            'trainable = "lora"; --dry-run tells what a setting takes. The last checkpoint is intact: run again.'
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "The disk is full. Make room and run again: finished work and the last checkpoint are intact."
    return None


def run_main(main: Callable[[], int]) -> int:
    """Run a command: exit code 2 and one line for what a person can mend, a traceback for a defect."""
    try:
        return main()
    except KeyboardInterrupt:
        print("Stopped. Run the same command again to go on.", file=sys.stderr)
        return 130
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        return 130
    except Exception as error:  # noqa: BLE001  the outermost place: everything is either told or shown in full
        sentence = told(error)
        if sentence is None:
            traceback.print_exc()
            return 1
        print(sentence, file=sys.stderr)
        return 2
