"""Compare two soundtracks for a clip and rate them: `python rate.py CLIP [ADDRESS]`."""

import secrets
import sys

from gradio_client import Client, handle_file

clip, address = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:7860"
client = Client(address, verbose=False)
result = client.predict(handle_file(clip), kinds=["video", "msi"], api_name="/compare")
person = f"rater-{secrets.token_hex(8)}"  # the same name again replaces its rating
for score, made in zip((80, 55), result["renditions"], strict=True):
    kept = client.predict(
        result["token"], made["track"], score=score, person=person, comment="from a script", api_name="/rate"
    )
    print(made["kind"], kept["score"])
