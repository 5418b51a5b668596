"""Go several ways on from one prefix: `python examples/fork.py POOL`."""

import sys

from agent_env.env import SWEEnv
from agent_env.tools import ToolCall, format_call


def bash(command: str) -> str:
    """A turn that runs one command."""
    return format_call(ToolCall("bash", {"command": command}))


with SWEEnv(pool=sys.argv[1]) as env:
    env.reset(seed=0)
    env.step(bash("git log --oneline; export TRIED=1; echo 'what I know so far' > /tmp/notes"))
    members = [env, *env.fork(3)]  # the same task, files, shell state and turns taken; a sandbox for each
    for number, member in enumerate(members):
        observation, *_ = member.step(bash(f"echo member {number}: $TRIED, $(cat /tmp/notes)"))
        print(observation)
        _, reward, _, _, info = member.step(format_call(ToolCall("submit")))
        print(f"reward {reward}, outcome {info['outcome']}, turn {info['step']}")
        member.close()
