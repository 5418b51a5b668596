"""A pool's audit on real builds: clean tasks have no finding; an answer in the pool or in a repository has one."""

import pytest

from agent_env.layers import task_layer
from agent_env.pool_audit import audit_pool
from agent_env.store import EnvironmentStore
from agent_env.workbench import Workbench
from tasks.pool import Pool
from tasks.task import Statement

pytestmark = pytest.mark.slow  # the programs of the host are searched each time


def test_clean_tasks_have_a_certificate_without_findings(bare_pool: Pool, store: EnvironmentStore) -> None:
    told: list[str] = []
    certificates = list(audit_pool(Workbench(bare_pool, store), bare_pool.tasks(), told.append))
    assert [certificate.findings for certificate in certificates] == [(), ()]
    assert told == [certificate.task for certificate in certificates] == [task.id for task in bare_pool.tasks()]
    assert all(certificate.searched["tree"] >= 4 for certificate in certificates)
    assert all(len(certificate.commit) == 40 for certificate in certificates)


def test_an_answer_in_the_statement_is_found(bare_pool: Pool, store: EnvironmentStore) -> None:
    task = bare_pool.task("tiny-longest")
    told = task.model_copy(update={"statement": Statement(text="See `test_longest`.", method="template")})
    [certificate] = audit_pool(Workbench(bare_pool, store), [told])
    assert any("names the hidden test" in finding for finding in certificate.findings)


def test_a_ref_in_the_agents_repository_is_found(bare_pool: Pool, store: EnvironmentStore) -> None:
    bench = Workbench(bare_pool, store)
    task = bare_pool.task("tiny-total")
    layer = task_layer(bench.build(task), task)
    tag = layer / ".git" / "refs" / "tags" / "v2"
    tag.parent.mkdir(exist_ok=True)
    tag.write_text((layer / ".git" / "refs" / "heads" / "main").read_text())
    try:
        [certificate] = audit_pool(bench, [task])
    finally:
        tag.unlink()
    assert [finding.partition(":")[0] for finding in certificate.findings] == ["tag"]
