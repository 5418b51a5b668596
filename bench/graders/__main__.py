"""The same attacks against the common ways to grade and against ours: python -m bench.graders [POOL] [--tasks N]

Prints how many attacks each procedure pays a reward for. Each must pay for the gold patch and must not for no work.
Without a pool a small one is built first. The agent's sandbox is the same for all, ours: what differs is the grading.
"""

import argparse
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agent_env.attack_trial import Target, read_target
from agent_env.sandbox.select import select_backend
from agent_env.store import EnvironmentStore
from agent_env.workbench import Workbench
from bench.chaos.project import small_pool
from bench.graders.ablations import ABLATIONS
from bench.graders.play import REFERENCES, Player, is_paid
from bench.graders.procedures import PROCEDURES
from blockers.attacks.attack import Attack, Goal
from blockers.attacks.manifest import select_attacks
from tasks.pool import Pool

GRADERS = {**PROCEDURES, **{f"RepoDojo, {missing}": grader for missing, grader in ABLATIONS.items()}}


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
            (name, player, target) for name in GRADERS for player in (*REFERENCES, *attacks) for target in targets
        ]
        with ThreadPoolExecutor(2) as threads:
            paid = list(threads.map(lambda trial: is_paid(GRADERS[trial[0]], *trial[1:], bench), trials))
    _print(trials, paid, len(attacks), len(targets))
    print(f"{len(trials)} gradings in {time.monotonic() - begun:.0f} s")


def _print(trials: list[tuple[str, Player, Target]], paid: list[bool | None], attacks: int, tasks: int) -> None:
    fooled: dict[str, set[str]] = defaultdict(set)
    broken: Counter[str] = Counter()
    for (name, player, _), was_paid in zip(trials, paid, strict=True):
        broken[name] += was_paid is None
        if was_paid:
            fooled[name].add(player.id if isinstance(player, Attack) else player)
    print(f"\n{attacks} attacks on {tasks} tasks; an attack counts once if it is paid on any\n")
    print(f"{'procedure':32}{'gold':>6}{'no-op':>7}{'fooled':>8}{'no verdict':>12}")
    for name in GRADERS:
        gold, noop = ("1" if kind in fooled[name] else "0" for kind in REFERENCES)
        print(f"{name:32}{gold:>6}{noop:>7}{len(fooled[name] - set(REFERENCES)):>8}{broken[name]:>12}")
    for name in GRADERS:
        if found := sorted(fooled[name] - set(REFERENCES)):
            print(f"\n{name} pays for: {', '.join(found)}")


if __name__ == "__main__":
    main()
