"""Step several episodes together: `python examples/vector.py POOL`."""

import sys

import gymnasium

import agent_env  # noqa: F401 - registers the environment
from agent_env.tools import ToolCall, format_call

envs = gymnasium.make_vec("RepoDojo/SWE-v0", num_envs=4, pool=sys.argv[1])
observations, infos = envs.reset(seed=0)
print("tasks:", *infos["task_id"])

look, submit = (
    format_call(call) for call in (ToolCall("bash", {"command": "git log --oneline; ls"}), ToolCall("submit"))
)
observations, rewards, terminated, truncated, infos = envs.step([look] * 4)
print(observations[0])
# Episodes end at different times: None leaves one as it is, and a mask says which begin anew.
observations, rewards, terminated, truncated, infos = envs.step([submit, submit, None, None])
print("rewards:", *rewards, "outcomes:", *infos["outcome"])
observations, infos = envs.reset(options={"reset_mask": terminated | truncated})
print("new tasks:", *infos["task_id"])
envs.close()
