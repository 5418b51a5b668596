"""The lower rooms can be imported where the heavy packages are not installed."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "docker", "vllm", "ray", "tensorboard", "matplotlib")


@pytest.mark.parametrize("room", ["tasks", "blockers", "agent_env", "env_builder", "rl_trainer", "repodojo.cli"])
def test_import_without_heavy_packages(room: str) -> None:
    code = (
        "import sys\n"
        f"for name in {HEAVY!r}: sys.modules[name] = None\n"  # makes `import name` raise ImportError
        f"import {room}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
