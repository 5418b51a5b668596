"""Our own grading with defences taken away, one more in each: what each of them is for."""

from agent_env.grading import grade, run_suite
from agent_env.grading.grade import grading_seconds
from agent_env.grading.states import graded_edits, start_edits
from bench.graders.procedures import Case, Procedure
from blockers.crossing import crossing
from tasks.tree import Edits, list_files


def without_oracle(case: Case) -> bool:
    """No values are computed again in another process."""
    case.agents.stop()
    task = case.task.model_copy(update={"oracle": None})
    return grade(task, case.agents.changes(), case.bench.build(task), case.bench.store.backend).reward == 1


def without_sentinels(case: Case) -> bool:
    """Nor are there sentinels and mirrors, nor is pytest's exit status asked: what the tests' process says counts."""
    case.agents.stop()
    tree = case.bench.build(case.task).tree
    return _run(case, crossing(case.agents.changes(), existing=list_files(tree)).files)


def without_crossing(case: Case) -> bool:
    """Nor is anything that the agent left kept back."""
    case.agents.stop()
    return _run(case, case.agents.changes())


ABLATIONS: dict[str, Procedure] = {
    "no oracle": without_oracle,
    "nor sentinels": without_sentinels,
    "nor a crossing filter": without_crossing,
}
"""By what is missing beside what was missing before."""


def _run(case: Case, crossed: Edits) -> bool:
    build = case.bench.build(case.task)
    run = run_suite(
        case.bench.store.backend,
        build,
        graded_edits(case.task, build.tree, crossed),
        ids=case.expected,
        order_seed=None,
        timeout=grading_seconds(case.task),
        changed=start_edits(case.task, build.tree).keys(),
    )
    return set(case.expected) <= run.passed()
