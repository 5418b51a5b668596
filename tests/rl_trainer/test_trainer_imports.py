"""The front door imports the trainer for its help text, and oracle and no-op run where no model library is."""

import subprocess
import sys

LIGHT = ("rl_trainer", "rl_trainer.config", "rl_trainer.errors", "rl_trainer.evaluate", "rl_trainer.progress")


def test_light_modules_load_no_model_library() -> None:
    code = (
        f"import sys, {', '.join(LIGHT)}\n"
        "loaded = {'torch', 'transformers', 'tokenizers', 'matplotlib'} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
