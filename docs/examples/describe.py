"""Write the captions of a clip: `python describe.py CLIP [ADDRESS]`."""

import sys

from gradio_client import Client, handle_file

clip, address = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:7860"
client = Client(address, verbose=False)
described = client.predict(handle_file(clip), api_name="/describe")
for kind, caption in described["captions"].items():
    print(f"{kind}: {caption['text']}")
for kind, reason in described["unavailable"].items():
    print(f"no {kind} caption: {reason}")
