"""Evaluate a run: the paper's tables from its folder, or captions and music from files.

    python -m train.evaluate tables runs/2025-11-20
    python -m train.evaluate captions --references R.jsonl --candidates C.jsonl
    python -m train.evaluate music --generated DIR --reference DIR

It is `python -m musiscene evaluate` under the name that stands beside the other steps of training; docs/metrics.md
tells what a run's folder may hold.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from musiscene.cli import main as musiscene


def main(argv: Sequence[str] | None = None) -> int:
    """Run the evaluation; return the exit code."""
    return musiscene(["evaluate", *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
