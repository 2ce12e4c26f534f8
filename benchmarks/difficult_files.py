"""Every difficult file of the folder of real clips through the whole job: seconds, memory, and what is left behind.

    python benchmarks/difficult_files.py [--json FILE]

Each is compared on the command line in a process of its own, under its real name. Expected are a comparison or one
sentence, within 10 s and 1.5 GB, and no file but the results. The folder is `MUSISCENE_MEDIA` (../shared/media).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _harness import machine, write_json

ROOT = Path(os.environ.get("MUSISCENE_MEDIA") or Path(__file__).resolve().parents[2] / "shared" / "media")


def compared(name: str, called: str) -> dict[str, Any]:
    """One file through `musiscene compare`."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "in", called), Path(folder, "out")
        source.parent.mkdir()
        shutil.copy(ROOT / name, source)
        command = [sys.executable, "-m", "musiscene", "compare", str(source), "--out", str(out), "--json"]
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        answer, complaint = process.communicate()
        seconds = time.perf_counter() - started
        left = sorted(path.name for path in Path(folder, "in").iterdir())
        made = len(json.loads(answer)["renditions"]) if process.returncode == 0 else 0
        return {
            "file": called,
            "seconds": round(seconds, 2),
            "renditions": made,
            "sentence": complaint.strip().splitlines()[-1] if process.returncode else "",
            "ok": (process.returncode == 0 or (process.returncode == 2 and "Traceback" not in complaint))
            and left == [called]
            and (process.returncode == 0 or not list(out.glob("**/*"))),
        }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    manifest = ROOT / "manifest.json"
    if not manifest.is_file():
        sys.exit(f"There are no real clips at {ROOT}: set MUSISCENE_MEDIA to a folder with a manifest.json.")
    files = [entry for entry in json.loads(manifest.read_text("utf-8"))["files"] if entry["category"] == "nasty"]
    found = [
        compared(str(entry["name"]), str(entry.get("test_as_name") or Path(str(entry["name"])).name)) for entry in files
    ]
    for one in sorted(found, key=lambda one: -one["seconds"]):
        outcome = f"{one['renditions']} videos or tracks" if one["renditions"] else one["sentence"]
        print(f"{one['seconds']:6.2f} s  {'ok ' if one['ok'] else 'BAD'}  {one['file'][:60]:60} {outcome}")
    slowest = max(one["seconds"] for one in found)
    print(f"{len(found)} files, slowest {slowest:.1f} s, {sum(not one['ok'] for one in found)} not as expected")
    print("machine:", machine())
    write_json(given.json, {"files": found})


if __name__ == "__main__":
    main()
