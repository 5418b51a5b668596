"""Step one task from your own code: `python examples/step.py POOL`."""

import sys

import gymnasium

import agent_env  # noqa: F401 - registers the environment

env = gymnasium.make("RepoDojo/SWE-v0", pool=sys.argv[1])
observation, info = env.reset(seed=0)
print(observation)


def call(tool: str, **arguments: str) -> str:
    """One tool call in the default format."""
    parts = "".join(f"<parameter={name}>\n{value}\n</parameter>\n" for name, value in arguments.items())
    return f"<tool_call>\n<function={tool}>\n{parts}</function>\n</tool_call>"


for action in (call("bash", command="git log --oneline; ls"), call("submit")):
    observation, reward, terminated, truncated, info = env.step(action)
    print(observation)
print(f"reward {reward}, outcome {info['outcome']}")
env.close()
