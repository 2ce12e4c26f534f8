"""Captions, and a soundtrack from each, on the clip: `python compare.py CLIP FOLDER [ADDRESS]`."""

import shutil
import sys
import urllib.request
from pathlib import Path

from gradio_client import Client, handle_file

clip, folder = sys.argv[1], Path(sys.argv[2])
client = Client(sys.argv[3] if len(sys.argv) > 3 else "http://127.0.0.1:7860", verbose=False)
folder.mkdir(parents=True, exist_ok=True)
result = {}
for result in client.submit(handle_file(clip), kinds=["video", "msi"], seed=7, api_name="/compare"):
    if "progress" in result:
        print(result["progress"], "captions:", *result["captions"], "soundtracks:", *result["soundtracks"])
for made in result["renditions"]:
    address = made["video"] or made["audio"]
    out = folder / f"{made['kind']}{Path(address).suffix}"
    with urllib.request.urlopen(f"{client.src.rstrip('/')}/{address}") as answer, out.open("wb") as file:
        shutil.copyfileobj(answer, file)
    print(f"{out}: {made['prompt']}")
