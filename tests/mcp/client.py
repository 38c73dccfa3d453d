"""The official Python SDK as a client of `codemode mcp`: says in lines what it sees.

python client.py MODE TARGET ARGUMENT...   MODE is auto, which is the newest revision, or legacy
"""

import json
import re
import sys

import anyio
import mcp
from mcp import types


def say(what, value):
    print(f"{what}: {json.dumps(value)}", flush=True)


def texts(result):
    return [getattr(block, "text", f"({block.type})") for block in result.content]


async def main(mode, target, arguments):
    server = target
    if not target.startswith("http"):
        server = mcp.StdioServerParameters(command=target, args=arguments)
    questions = []
    logged = []
    heard = anyio.Event()

    async def elicit(context, params):
        questions.append(params.message)
        return types.ElicitResult(action="accept", content={})

    async def log(params):
        logged.append(params.data)
        heard.set()

    client = mcp.Client(
        server,
        mode=mode,
        elicitation_callback=elicit,
        logging_callback=log,
        log_level="info" if mode == "auto" else None,
    )
    async with client:
        say("revision", client.protocol_version)
        tools = (await client.list_tools()).tools
        say("tools", [tool.name for tool in tools])

        async def call(name, arguments):
            return await client.call_tool(name, arguments)

        say("text", texts(await call("exec", {"code": "text(6 * 7)"})))
        failed = await call("exec", {"code": "null.x"})
        say("failed", [failed.is_error, texts(failed)[0].split("\n")[0]])
        say("notified", texts(await call("exec", {"code": "notify('half way'); text('told')"})))
        await heard.wait()
        say("log", logged)

        stored = texts(await call("exec", {"code": "store('k', 5); text('stored')"}))
        more = {}
        if (session := re.search(r'"session": "(\w+)"', " ".join(stored))) is not None:
            more["session"] = session.group(1)
        say("stored", stored[0])
        say("loaded", texts(await call("exec", {"code": "text(load('k'))", **more}))[0])

        slow = "text('a'); yield_control(); await new Promise(r => setTimeout(r, 50)); text('b')"
        running = await call("exec", {"code": slow})
        cell = re.search(r'wait\(\{"cell_id": "([\w.]+)"', " ".join(texts(running))).group(1)
        rest = await call("wait", {"cell_id": cell, "until": "completion"})
        say("waited", [texts(running)[0], *texts(rest)])

        approved = await call("exec", {"code": "text(await tools.asking.echo({ message: 'allowed' }))"})
        say("approved", [questions, texts(approved)])


anyio.run(main, sys.argv[1], sys.argv[2], sys.argv[3:])
