"""A server that goes wrong in one way, by its first argument. Nothing but the standard library."""

import json
import os
import sys
import time

fault = sys.argv[1]


def say(message: object) -> None:
    print(json.dumps(message), flush=True)


def answer(request: dict, result: object) -> None:
    say({"jsonrpc": "2.0", "id": request["id"], "result": result})


def tools() -> list:
    if fault == "many":
        return [{"name": f"tool{n}", "inputSchema": {"type": "object"}} for n in range(10_000)]
    good = {"name": "good", "description": "Works.", "inputSchema": {"type": "object"}}
    if fault == "schema":
        return [good, {"name": "wrong", "inputSchema": {"type": "string"}}, {"name": "worse", "inputSchema": 7}, 8]
    if fault == "twice":
        return [good, good]
    return [good]


if fault == "dies":
    sys.exit(3)
if fault == "banner":
    print("Welcome to the banner server!", flush=True)
if fault == "babbles":
    for n in range(1000):
        print(f"line {n} that is no message", flush=True)
if fault == "endless":
    while True:
        sys.stdout.write("x" * 65536)
if fault == "silent":
    time.sleep(600)

calls = 0

for line in sys.stdin:
    request = json.loads(line)
    method = request.get("method")
    if method == "initialize":
        version = "nonsense" if fault == "greets" else request["params"]["protocolVersion"]
        if fault == "greets":
            answer(request, ["hello"])
            continue
        info = {"name": "fault", "version": "0"}
        answer(request, {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info})
    elif method == "tools/list":
        if fault == "circle":
            answer(request, {"tools": [], "nextCursor": str(time.monotonic_ns())})
        elif fault == "list":
            answer(request, {"tools": "none"})
        else:
            answer(request, {"tools": tools()})
        if fault == "floods":
            while True:
                say({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
    elif method == "tools/call":
        if fault == "answers":
            answer(request, {"nothing": "here"})
        elif fault == "huge" and calls % 3 < 2:
            result = {"content": [{"type": "text", "text": "x" * (9 * 1024 * 1024)}]}
            message = {"jsonrpc": "2.0", "id": request["id"], "result": result}
            # Its id first, then last.
            say(message if calls % 3 == 0 else dict(reversed(message.items())))
        elif fault == "crashes":
            os._exit(1)
        elif fault == "refuses":
            say({"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32000, "message": "not\ntoday"}})
        else:
            if fault == "huge":
                data = "x" * (9 * 1024 * 1024)
                say({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": data}})
            answer(request, {"content": [{"type": "text", "text": f"pid {os.getpid()}"}]})
        calls += 1
