"""Play many episodes with asyncio, four at a time: `python examples/episodes.py POOL`."""

import asyncio
import sys
from collections import Counter
from typing import Any

from agent_env.async_env import AsyncSWEEnv, play_episodes
from agent_env.env import SWEEnv
from agent_env.tools import ToolCall, format_call


async def ask_model(observation: str) -> str:
    """Stands for a call to a model's server."""
    await asyncio.sleep(0.1)
    return format_call(ToolCall("submit"))


async def play(env: AsyncSWEEnv, task_id: str) -> dict[str, Any]:
    """One episode; its last info."""
    observation, info = await env.reset(options={"task_id": task_id})
    ended = False
    while not ended:
        observation, _, terminated, truncated, info = await env.step(await ask_model(observation))
        ended = terminated or truncated
    return info


base = SWEEnv(pool=sys.argv[1])
infos = asyncio.run(play_episodes(base.twin, [task.id for task in base.tasks], play, concurrency=4))
print(Counter(f"{info['outcome']} {info['detail']}" for info in infos))
