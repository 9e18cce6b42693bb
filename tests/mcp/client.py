"""A client of the official Python SDK: `client.py URL TOKEN MODE` reads calls (JSON lists of name and arguments, one a
line) and prints what the server offers and answers, one JSON object a line."""

import asyncio
import json
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

url, token, mode = sys.argv[1:]


async def main() -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
            listed = await client.list_tools()
            print(json.dumps({"tools": [tool.name for tool in listed.tools]}), flush=True)
            for line in sys.stdin:
                name, arguments = json.loads(line)
                result = await client.call_tool(name, arguments)
                told = {"error": bool(result.is_error), "text": result.content[0].text}
                print(json.dumps(told), flush=True)


asyncio.run(main())
