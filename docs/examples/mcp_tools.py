"""The same verbs as MCP tools: `python mcp_tools.py CLIP [ADDRESS [KEY]]`; needs `pip install mcp httpx2`."""

import asyncio
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

clip, address = sys.argv[1], (sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:7860").rstrip("/")
headers = {"Authorization": f"Bearer {sys.argv[3]}"} if len(sys.argv) > 3 else {}


async def show(progress: float, total: float | None, message: str | None) -> None:
    print(f"  {message}")


async def main() -> None:
    async with httpx2.AsyncClient(headers=headers, timeout=300) as http:
        with open(clip, "rb") as file:
            upload = await http.post(f"{address}/gradio_api/upload", files={"files": file})
        path = upload.raise_for_status().json()[0]
        async with Client(streamable_http_client(f"{address}/gradio_api/mcp", http_client=http)) as client:
            print("tools:", *(tool.name for tool in (await client.list_tools()).tools))
            result = await client.call_tool(
                "compare", {"clip": path, "kinds": ["video", "msi"]}, progress_callback=show
            )
            if result.is_error:
                sys.exit(result.content[0].text)
            for made in result.structured_content["renditions"]:
                print(made["kind"], made["video"] or made["audio"])
            token, track = result.structured_content["token"], result.structured_content["renditions"][0]["track"]
            rating = {"token": token, "track": track, "score": 80, "person": "my-random-name"}
            print("kept:", (await client.call_tool("rate", rating)).structured_content["score"])


asyncio.run(main())
