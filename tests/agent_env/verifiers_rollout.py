"""Runs real rollouts of verifiers against a scripted model; started by ``test_adapter_verifiers`` in a venv of its own.

    python verifiers_rollout.py < {"pool": ..., "task_id": ..., "scripts": [[turn, ...], ...]}

In place of a turn's text null says that the machine fails while the model thinks. Prints one JSON object: the rewards
and outcomes, whether the task is sound, what was sent to the model, and how many sandboxes a rollout leaves that is
cancelled at its start.
"""

import asyncio
import json
import sys
import threading
from collections.abc import Coroutine
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import verifiers.v1 as vf
from verifiers.v1.clients import ModelContext
from verifiers.v1.configs.client import EvalClientConfig
from verifiers.v1.configs.env import EnvConfig
from verifiers.v1.utils.loaders import load_environment, resolve_env_config

from agent_env.env import SWEEnv
from agent_env.sandbox.local import _live
from tests.agent_env.turns import bash


class Scripted(BaseHTTPRequestHandler):
    """An OpenAI-compatible endpoint that says one script's turns in order."""

    script: list[str | None]
    heard: list[Any]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.heard.append(body["messages"])
        turn = sum(message["role"] == "assistant" for message in body["messages"])
        said = self.script[turn]
        if said is None:
            said = bash("true")
            for sandbox in [*_live]:
                sandbox.close()
        first = {"index": 0, "delta": {"role": "assistant", "content": said}, "finish_reason": None}
        last = {"index": 0, "delta": {}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        named = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "scripted"}
        chunks = [{**named, "choices": [choice]} for choice in (first, last)] + [
            {**named, "choices": [], "usage": usage}
        ]
        lines = [*(f"data: {json.dumps(chunk)}" for chunk in chunks), "data: [DONE]"]
        data = "".join(f"{line}\n\n" for line in lines).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


async def left_by_cancelled(rollout: Coroutine[Any, Any, Any]) -> int:
    """How many sandboxes it leaves where it is cancelled just before its episode is there to be closed."""
    begun, closed, ended = (threading.Event() for _ in range(3))
    reset, close = SWEEnv.reset, SWEEnv.close

    def late(env: SWEEnv, **options: Any) -> Any:
        begun.set()
        closed.wait(30)
        try:
            return reset(env, **options)
        finally:
            ended.set()

    def told(env: SWEEnv) -> None:
        close(env)
        closed.set()

    SWEEnv.reset, SWEEnv.close = late, told  # type: ignore[method-assign, assignment]
    running = asyncio.create_task(rollout)
    await asyncio.to_thread(begun.wait, 30)
    running.cancel()
    await asyncio.wait([running])
    await asyncio.to_thread(ended.wait, 30)
    SWEEnv.reset, SWEEnv.close = reset, close  # type: ignore[method-assign]
    return len(_live)


async def main() -> None:
    given = json.load(sys.stdin)
    config: EnvConfig = resolve_env_config(
        {"taskset": {"id": "repodojo", "pool": given["pool"], "sandbox": "bubblewrap"}}
    )
    env = load_environment(config)
    task = next(iter(env.taskset.include(ids=[given["task_id"]])))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = EvalClientConfig(base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key_var="NO_SUCH_KEY")
    Scripted.heard = []
    shown = []
    async with env.serving():
        for script in given["scripts"]:
            Scripted.script = script
            episode = await env.run_episode(task, ModelContext(model="scripted", client=client))
            trace: vf.Trace | None = episode.traces[0] if episode.traces else None
            shown.append(
                {
                    "ok": episode.ok,
                    "errors": [f"{error.type}: {error.message}" for error in episode.errors],
                    "reward": trace.reward if trace else None,
                    "scored": sorted(trace.rewards) if trace else [],
                    "info": trace.info if trace else None,
                    "trace": trace.model_dump_json() if trace else None,
                }
            )
        left = await left_by_cancelled(env.run_episode(task, ModelContext(model="scripted", client=client)))
    sound = await task.validate(None)
    server.shutdown()
    told = {"episodes": shown, "sound": sound, "heard": Scripted.heard, "key": task.key, "left": left}
    sys.stdout.write(json.dumps(told) + "\n")


asyncio.run(main())
