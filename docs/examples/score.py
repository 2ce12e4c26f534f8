"""A soundtrack from words, and how far it is: `python score.py "a calm waltz in D minor" OUT.wav [ADDRESS]`."""

import shutil
import sys
import urllib.request

from gradio_client import Client

words, out, address = sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else "http://127.0.0.1:7860"
client = Client(address, verbose=False)
made = {}
for made in client.submit(words, duration_s=8, seed=7, api_name="/score"):
    if "progress" in made:
        print(made["progress"], made.get("note", ""))
with urllib.request.urlopen(f"{client.src.rstrip('/')}/{made['audio']}") as answer, open(out, "wb") as file:
    shutil.copyfileobj(answer, file)
print(f"{out}: {made['duration_s']} s at {made['loudness_lufs']} LUFS")
