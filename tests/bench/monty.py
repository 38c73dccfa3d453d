"""Monty: Python in worker processes, by its own asynchronous interface. `python monty.py DIVISOR`.

Figures go to stdout as one JSON object, in milliseconds.
"""

import asyncio
import json
import os
import statistics
import sys
import time

from pydantic_monty import AsyncMonty

DIVISOR = int(sys.argv[1])
PAUSE_S = 0.005

# Calls one after the other.
LOOP = """
for i in range({count}):
    await echo({{'i': i, 'text': 'hello'}})
'done'
"""

# A hundred calls at a time.
ALL = """
import asyncio
for n in range({count}):
    await asyncio.gather(*[echo({{'i': i, 'text': 'hello'}}) for i in range(100)])
'done'
"""


def times(full):
    return max(3, full // DIVISOR)


async def timed(count, run, pause=0):
    """The median of `count` times that `run` takes, after some that do not count. `pause` seconds lie before each."""
    samples = []
    for _ in range(count + 5):
        if pause:
            await asyncio.sleep(pause)
        began = time.perf_counter()
        await run()
        samples.append(time.perf_counter() - began)
    return statistics.median(samples[5:]) * 1000


async def both_ways(name, count, run):
    """What `run` takes one time after the other, and what it takes after a pause."""
    return {
        name: await timed(times(count), run),
        f"{name}_paced": await timed(times(100), run, PAUSE_S),
    }


async def fresh(pool):
    async with pool.checkout() as session:
        await session.feed_run("'hi'")


async def nested(pool, source, together=1):
    """The median time from one call to the next, or from the first of some that are made together to the first of the next."""
    calls = []

    async def echo(value):
        calls.append(time.perf_counter())
        return value

    # Unless it is told otherwise, a session makes 1,000 calls in all.
    async with pool.checkout(limits={"max_suspensions": 1_000_000}) as session:
        result = await session.feed_run(source, external_lookup={"echo": echo})
    assert result == "done", result
    first = calls[::together]
    return statistics.median(after - before for before, after in zip(first, first[1:])) * 1000


async def main():
    # A worker process that serves one session after the other: what Monty does unless it is told otherwise.
    async with AsyncMonty() as pool:
        figures = await both_ways("session", 500, lambda: fresh(pool))
        figures["nested"] = await nested(pool, LOOP.format(count=times(1000)))
        figures["all"] = await nested(pool, ALL.format(count=times(20)), together=100)
    # A worker process for each session, two of them ready ahead of need, as in `codemode`.
    async with AsyncMonty(max_checkouts_per_worker=1, min_processes=2) as pool:
        figures |= await both_ways("process", 100, lambda: fresh(pool))
    print(json.dumps(figures), flush=True)


asyncio.run(main())
# Not through the interpreter's end, in which this version of Monty aborts now and then.
os._exit(0)
