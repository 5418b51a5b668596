"""The same attacks against the common ways to grade and against ours: python -m bench.graders [POOL] [--tasks N]

Prints how many attacks each procedure pays a reward for. Each must pay for the gold patch and must not for no work.
Without a pool a small one is built first. The agent's sandbox is the same for all, ours: what differs is the grading.
"""

import argparse
import secrets
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agent_env.attack_trial import RULES, Target, make_view, read_target
from agent_env.sandbox.select import select_backend
from agent_env.scripted import oracle_actions
from agent_env.store import EnvironmentStore
from agent_env.tools.formats import DEFAULT_FORMAT, choose_format, parse_calls
from agent_env.tools.toolbox import Toolbox
from agent_env.workbench import Workbench
from bench.chaos.project import small_pool
from bench.graders.procedures import PROCEDURES, Case
from blockers.attacks.attack import Attack, Goal
from blockers.attacks.manifest import select_attacks
from blockers.attacks.programs import PRELUDE
from tasks.errors import RepoDojoError
from tasks.pool import Pool

REFERENCES = ("gold", "noop")


def is_paid(name: str, attack: Attack | str, target: Target, bench: Workbench) -> bool | None:
    """Whether a procedure gives a reward for an attack, or for one of the references; None where it gave no verdict."""
    agents = bench.open(target.task)
    try:
        if isinstance(attack, str):
            _play_reference(attack, target, bench, agents)
        else:
            view = make_view(attack, target, Path("/nonexistent"))
            for command in [PRELUDE.format(token=secrets.token_hex(8), canary=view.canary), *attack.steps(view)]:
                agents.run(command, timeout=RULES.command_timeout)
        return PROCEDURES[name](Case(target.task, bench, agents))
    except (RepoDojoError, OSError):
        return None  # the attack broke the sandbox, or the grader
    finally:
        agents.close()


def _play_reference(kind: str, target: Target, bench: Workbench, agents: object) -> None:
    toolbox = Toolbox()
    turns = oracle_actions(target.task, bench.build(target.task).tree) if kind == "gold" else []
    for call in [call for turn in turns for call in parse_calls(turn, choose_format(DEFAULT_FORMAT))]:
        if call.name != "submit":
            toolbox.execute(agents, call)  # type: ignore[arg-type]


def main() -> None:
    """Run all against all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pool", nargs="?", type=Path)
    parser.add_argument("--tasks", type=int, default=1)
    parser.add_argument("--sandbox", default="auto")
    parser.add_argument("--attacks", nargs="*", default=[], help="beginnings of ids; all where absent")
    options = parser.parse_args()
    attacks = [attack for attack in select_attacks(options.attacks) if attack.goal is Goal.REWARD and not attack.hangs]
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="graders-") as folder:
        pool = Pool(options.pool) if options.pool else small_pool(Path(folder), options.sandbox)
        bench = Workbench(pool, EnvironmentStore(select_backend(options.sandbox)))
        targets = [read_target(task, bench) for task in pool.tasks()[: options.tasks]]
        trials = [
            (name, attack, target) for name in PROCEDURES for attack in (*REFERENCES, *attacks) for target in targets
        ]
        with ThreadPoolExecutor(2) as threads:
            paid = list(threads.map(lambda trial: is_paid(*trial, bench), trials))
    _print(trials, paid, len(attacks), len(targets))
    print(f"{len(trials)} gradings in {time.monotonic() - begun:.0f} s")


def _print(trials: list[tuple[str, Attack | str, Target]], paid: list[bool | None], attacks: int, tasks: int) -> None:
    fooled: dict[str, set[str]] = defaultdict(set)
    broken: Counter[str] = Counter()
    for (name, attack, _), was_paid in zip(trials, paid, strict=True):
        broken[name] += was_paid is None
        if was_paid:
            fooled[name].add(attack if isinstance(attack, str) else attack.id)
    print(f"\n{attacks} attacks on {tasks} tasks; an attack counts once if it is paid on any\n")
    print(f"{'procedure':22}{'gold':>6}{'no-op':>7}{'fooled':>8}{'no verdict':>12}")
    for name in PROCEDURES:
        gold, noop = ("1" if kind in fooled[name] else "0" for kind in REFERENCES)
        print(f"{name:22}{gold:>6}{noop:>7}{len(fooled[name] - set(REFERENCES)):>8}{broken[name]:>12}")
    for name in PROCEDURES:
        if found := sorted(fooled[name] - set(REFERENCES)):
            print(f"\n{name} pays for: {', '.join(found)}")


if __name__ == "__main__":
    main()
