"""``repodojo build``: a pool of certified tasks from a list of repositories."""

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from agent_env.sandbox.select import select_backend
from env_builder.build import LIMIT_PER_REPO, BuildOptions, BuildReport, build_pool
from env_builder.llm import LLMWriter
from env_builder.plan import FAMILIES
from env_builder.repo_list import load_repo_list
from env_builder.validation import Draft
from repodojo.commands.pool import strategy_table
from repodojo.console import Console
from repodojo.options import AsJson, SandboxName, Seed
from tasks.pool import Pool
from tasks.task import Statement


def build(
    repos: Annotated[str, typer.Argument(metavar="REPOS", help="repos.toml, a text file, or one source: pypi:toolz.")],
    out: Annotated[Path, typer.Option(help="Where the pool is made; an unfinished one there is gone on with.")],
    sandbox: SandboxName = "auto",
    strategy: Annotated[
        list[str] | None, typer.Option(help="history, procedural or procedural.MODIFIER; may be given often.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Candidates of each repository and family.")] = LIMIT_PER_REPO,
    max_tasks: Annotated[int | None, typer.Option(min=1, help="Stop at this many tasks.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Candidates validated at once.")] = 2,
    seed: Seed = 0,
    allow_weak_oracle: Annotated[
        bool, typer.Option("--allow-weak-oracle", help="Keep tasks too whose reward a forged test run can earn.")
    ] = False,
    llm: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="BASE_URL MODEL", help="Write statements with this OpenAI-compatible server's model."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build a pool of certified tasks. Stopped at any moment, the same command goes on from there."""
    console = Console(as_json=as_json)
    requests = load_repo_list(repos)
    options = BuildOptions(
        strategies=tuple(strategy or FAMILIES),
        seed=seed,
        limit_per_repo=limit,
        max_tasks=max_tasks,
        workers=workers,
        allow_weak_oracle=allow_weak_oracle,
        rewrite=_rewriter(*llm) if llm else None,
    )
    backend = select_backend(sandbox)
    with console.progress() as bars:
        report = build_pool(requests, out, backend=backend, options=options, progress=bars)
    show_report(report, console)
    console.result(asdict(report))


def _rewriter(base_url: str, model: str) -> Callable[[Statement, Draft], Statement]:
    writer = LLMWriter(base_url, model, os.environ.get("OPENAI_API_KEY"))

    def rewrite(statement: Statement, draft: Draft) -> Statement:
        patches = draft.patches
        return writer.write(statement, gold_patch=patches.gold, hidden_files=patches.hidden, failures=draft.failures)

    return rewrite


def show_report(report: BuildReport, console: Console) -> None:
    """What a build made, where it is, and what to do next."""
    console.say(strategy_table(Pool(report.pool).tasks()))
    rejected = ", ".join(f"{number} {reason}" for reason, number in sorted(report.rejected.items())) or "none"
    console.say(f"{report.certified} certified of {report.candidates} candidates in {report.seconds:.0f} s")
    console.say(f"rejected: {rejected}")
    for name, fault in report.faults.items():
        console.say(f"[yellow]not used:[/] {escape(name)}: {escape(str(fault))}")
    console.say(f"The pool is in {report.pool}. Next: `repodojo pool ls {report.pool}`.")
