"""A server of the official Python SDK: over stdio, or with `http` at an address it prints as its first line."""

import asyncio
import base64
import os
import socket
import sys
from typing import Any

import uvicorn
from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.types import AudioContent, BlobResourceContents, ContentBlock, EmbeddedResource, ImageContent, TextContent

mcp = MCPServer("python-peer")


@mcp.tool(annotations={"readOnlyHint": True})
def add(a: int, b: int = 2) -> int:
    """Adds two numbers."""
    return a + b


@mcp.tool(annotations={"readOnlyHint": True})
def forecast(city: str, days: int = 1) -> str:
    """The weather of a city in the days to come."""
    return f"{city}: rain for {days} day(s)"


@mcp.tool()
def environment() -> list[str]:
    """The names of the variables this program has."""
    return sorted(os.environ)


@mcp.tool()
def anything(value: dict[str, Any]) -> str:
    """Takes an object of any keys."""
    return repr(sorted(value))


# One grey pixel.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)


@mcp.tool()
def picture(size: int = 0) -> Image:
    """A picture, with so many bytes that nobody looks at behind it."""
    return Image(data=PIXEL.ljust(size, b"\0"), format="png")


@mcp.tool()
def parcel() -> list[ContentBlock]:
    """A sound, a document, and pictures that are none."""
    sound = base64.b64encode(b"RIFF\x04\0\0\0WAVE").decode()
    document = base64.b64encode(b"Day 1: the lake.").decode()
    inside = BlobResourceContents(uri="trip://2026/plan.txt", mime_type="text/plain", blob=document)
    return [
        TextContent(type="text", text="All there is:"),
        AudioContent(type="audio", data=sound, mime_type="audio/wav"),
        EmbeddedResource(type="resource", resource=inside),
        ImageContent(type="image", data="no base64!", mime_type="image/png"),
        ImageContent(type="image", data=document, mime_type="image/png"),
    ]


@mcp.tool()
def fail() -> str:
    """Fails."""
    raise ValueError("as it was told to")


@mcp.tool()
async def hang(path: str) -> str:
    """Never ends, and leaves a file when nobody waits for it any more."""
    with open(path + ".begun", "w"):
        pass
    try:
        await asyncio.Event().wait()
    finally:
        with open(path + ".cancelled", "w"):
            pass
    return ""


@mcp.tool()
async def grow(ctx: Context) -> str:
    """Learns something new."""

    def grown() -> str:
        """What was learnt."""
        return "here"

    mcp.add_tool(grown)
    await ctx.session.send_tool_list_changed()
    return "grown"


@mcp.tool()
def die() -> str:
    """Ends the program at once."""
    os._exit(3)


if sys.argv[1:] == ["http"]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
    config = uvicorn.Config(mcp.streamable_http_app(), log_level="warning")
    uvicorn.Server(config).run(sockets=[listener])
else:
    print("a line on standard error", file=sys.stderr, flush=True)
    mcp.run("stdio")
