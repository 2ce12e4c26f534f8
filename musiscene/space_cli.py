"""`python -m musiscene.space_cli check | push OWNER/NAME`, behind `make space-check` and `make space`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from musiscene import space
from musiscene.errors import MusisceneError, RequestError

ROOT = Path(__file__).resolve().parents[1]

_COMPARE = """
import sys
from gradio_client import Client, handle_file
client = Client(sys.argv[1], verbose=False)
print(client.predict(handle_file(sys.argv[2]), api_name="/compare")["profile"])
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one action; return the exit code."""
    parser = argparse.ArgumentParser(prog="musiscene.space_cli", description="Check the Space, and push it.")
    actions = parser.add_subparsers(required=True, dest="action")
    check = actions.add_parser("check", help="front matter, packages, start, first page, one comparison")
    check.add_argument("--installed", action="store_true", help="use this environment in place of a new one")
    push = actions.add_parser("push", help="push this repository to a Space")
    push.add_argument("space", metavar="OWNER/NAME")
    push.add_argument("--gpu", action="store_true", help="with torch and the neural backends' packages (ZeroGPU)")
    push.add_argument("--private", action="store_true", help="when it is made, only its owner sees it")
    given = parser.parse_args(arguments)
    try:
        if given.action == "push":
            print(space.push(ROOT, given.space, gpu=given.gpu, private=given.private))
        else:
            _check(given.installed)
    except MusisceneError as error:
        print(f"musiscene: {error}", file=sys.stderr)
        return 2
    return 0


def _check(installed: bool) -> None:
    if wrong := space.problems(ROOT):
        raise RequestError("\n".join(wrong))
    print("ok  front matter and versions")
    with tempfile.TemporaryDirectory(prefix="musiscene-space-") as name:
        folder = Path(name)
        python = Path(sys.executable) if installed else space.clean_environment(ROOT, folder / "environment")
        told = subprocess.run([python, "--version"], capture_output=True, text=True, check=False).stdout.strip()
        print(f"ok  {'this environment' if installed else 'requirements.txt in a new environment'}, {told}")
        with space.started(ROOT, python, folder) as url:
            print("ok  the app starts with SPACE_ID set; the first page is there")
            clip = ROOT / "assets" / "examples" / "shapes.mp4"
            done = subprocess.run(
                [python, "-c", _COMPARE, url, str(clip)], capture_output=True, text=True, check=False, timeout=400
            )
            if done.returncode:
                raise RequestError(f"A comparison failed: {done.stderr.strip()[-400:]}")
            print(f"ok  one comparison, profile {done.stdout.strip()}")


if __name__ == "__main__":
    sys.exit(main())
