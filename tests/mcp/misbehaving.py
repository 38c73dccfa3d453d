"""An MCP server on stdio that does what servers must not do, one thing a tool.

Started as `misbehaving.py [FOLDER] [MODE]`: in FOLDER it leaves notes of what it saw. MODE makes it misbehave from the
start: `hang` (it never answers), `exit` (it complains and ends), `huge` (its list has a schema of 2 MB), `broken` (its
list has tools that are none), `endless` (its list has no last page), `many` (its list has 3,000 tools), `twins` (two
of its tools have one name in a cell).
"""

import json
import os
import sys
import time

FOLDER = sys.argv[1] if len(sys.argv) > 1 else "."
MODE = sys.argv[2] if len(sys.argv) > 2 else ""

OBJECT = {"type": "object"}
EXTRA = []


def note(name, text):
    with open(os.path.join(FOLDER, name), "a") as file:
        file.write(text + "\n")


def send(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def answer(request, result):
    send({"jsonrpc": "2.0", "id": request["id"], "result": result})


def text(request, words):
    answer(request, {"content": [{"type": "text", "text": words}]})


def notify(method, params=None):
    send({"jsonrpc": "2.0", "method": method, **({"params": params} if params is not None else {})})


def tool(name, **more):
    return {"name": name, "description": f"Does {name}", "inputSchema": OBJECT, **more}


def tools():
    listed = [tool(name) for name in sorted(TOOLS)] + EXTRA
    if MODE == "huge":
        properties = {f"field_{i}": {"type": "string", "description": "x" * 100} for i in range(17_000)}
        listed.append(tool("huge", inputSchema={"type": "object", "properties": properties}))
    if MODE == "broken":
        listed += [{"name": "no_schema"}, {"inputSchema": OBJECT}, 5]
    if MODE == "twins":
        listed = [tool("do-it"), tool("do it")]
    if MODE == "many":
        listed = [tool(f"tool_{i}") for i in range(3_000)]
    for each in listed:
        if isinstance(each, dict) and each.get("name") in HINTS:
            each["annotations"] = HINTS[each["name"]]
    return listed


def die(request):
    print("about to die", file=sys.stderr, flush=True)
    os._exit(7)


def hang(request):
    note("hanging", str(request["id"]))


def flood(request):
    for i in range(20_000):
        notify("notifications/message", {"level": "info", "data": "x" * 1000})
    text(request, "flooded")


def big(request):
    text(request, "x" * (17 << 20))


def endless_line(request):
    while True:
        sys.stdout.write("x" * (1 << 20))


def malformed(request):
    answer(request, {"content": [{"type": "text", "text": 5}], "isError": "perhaps"})


def noise(request):
    print("this is no JSON, and was meant for a log")
    print("{\"neither\": \"is this")
    text(request, "heard")


def novel(request):
    answer(request, {"content": [{"type": "hologram", "data": "…"}]})


def add_tool(request):
    EXTRA.append(tool("added"))
    notify("notifications/tools/list_changed")
    text(request, "added")


def change_all_the_time(request):
    for _ in range(1_000):
        notify("notifications/tools/list_changed")
    text(request, "changed")


def fail(request):
    answer(request, {"content": [{"type": "text", "text": "no such thing"}], "isError": True})


def refuse(request):
    send({"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32602, "message": "wrong\x1b[2J arguments"}})


def pid(request):
    text(request, str(os.getpid()))


def environment(request):
    text(request, json.dumps(sorted(os.environ)))


def echo(request):
    text(request, json.dumps(request["params"].get("arguments")))


def spawn(request):
    """Leaves a child behind, which says when it began."""
    child = os.fork()
    if child == 0:
        time.sleep(3600)
        os._exit(0)
    text(request, str(child))


TOOLS = {f.__name__: f for f in (
    die, hang, flood, big, endless_line, malformed, noise, novel, add_tool, change_all_the_time, fail, refuse, pid,
    environment, echo, spawn,
)}

HINTS = {
    "die": {"destructiveHint": True},
    "fail": {"destructiveHint": True, "readOnlyHint": True},
}


def handle(request):
    method = request.get("method")
    if method == "initialize":
        note("started", str(os.getpid()))
        answer(request, {
            "protocolVersion": request["params"]["protocolVersion"],
            "capabilities": {"tools": {"listChanged": True}, "logging": {}},
            "serverInfo": {"name": "misbehaving", "version": "1"},
        })
    elif method == "tools/list":
        result = {"tools": tools()}
        if MODE == "endless":
            result["nextCursor"] = "again"
        answer(request, result)
    elif method == "tools/call":
        name = request["params"]["name"]
        TOOLS.get(name, echo)(request)
    elif method == "notifications/cancelled":
        note("cancelled", str(request["params"].get("requestId")))
    elif "id" in request and method:
        send({"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32601, "message": "no such method"}})


if MODE == "exit":
    print("I need a \x1b[31mtoken\x1b[0m to start", file=sys.stderr, flush=True)
    sys.exit(3)
for line in sys.stdin:
    if MODE != "hang":
        handle(json.loads(line))
