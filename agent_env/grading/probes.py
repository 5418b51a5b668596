"""The oracle split in grading: probe programs run in a sandbox of their own, and the host judges what they compute.

That sandbox holds the start state, the attempt's files and the programs: no hidden test, no test id, no expected value,
and of the compiled modules none of tests. Whoever forges results there has to know what the tests expect.
"""

import secrets
from collections.abc import Collection, Sequence
from typing import NamedTuple

from agent_env.grading.bytecode import bytecode_mounts, ensure_bytecode
from agent_env.grading.supervised import run_supervised
from agent_env.sandbox.base import SandboxBackend, StopCause
from agent_env.store import Build
from blockers.oracle import Report, forged_sentinels, make_probe_sentinels, read_lines, unmet_probes
from tasks.oracle import Oracle
from tasks.tree import Edits

_RANDOM = secrets.SystemRandom()


class Call(NamedTuple):
    """One probe to run: an entry of one of the programs."""

    program: int
    entry: str


class ProbeRun(NamedTuple):
    """One run of probes in one fresh sandbox."""

    reports: dict[int, Report]
    """By the number of the call; what never reported is missing."""
    stopped: StopCause | None
    """Why the run was ended, or None."""
    error: str
    """Why there is nothing at all, or the end of what the programs printed."""
    seconds: float
    rewritten: tuple[str, ...] = ()
    """Visible tests, test data and configuration that were written while it ran."""


class OracleRun(NamedTuple):
    """What the oracle says of an attempt."""

    unmet: dict[str, str]
    """Hidden tests whose probes did not give what they must, and why; empty where all did."""
    run: ProbeRun
    sentinel: str = ""
    """What the sentinels of the run give away, if anything."""


def run_probes(
    backend: SandboxBackend,
    build: Build,
    edits: Edits,
    *,
    programs: Sequence[tuple[str, str]],
    calls: Sequence[Call],
    timeout: float,
    changed: Collection[str] | None = None,
) -> ProbeRun:
    """Run probes in random order, each under a random label.

    Args:
        edits: the state, over the environment's tree; it must not hold the hidden tests.
        programs: path of the test file and source of the program.
        timeout: seconds for all of them.
        changed: the files that the task's start state changes, as for ``bytecode_mounts``.

    Raises:
        SandboxError: the machine failed; never for what the programs do.
    """
    ensure_bytecode(backend, build)
    labels = {secrets.token_hex(8): number for number in range(len(calls))}
    order = [(label, *calls[number]) for label, number in labels.items()]
    _RANDOM.shuffle(order)
    request = {"programs": programs, "probes": order}
    mounts = bytecode_mounts(build, changed, tests=False)  # compiled tests would give their expected values away
    said = run_supervised(
        backend,
        build,
        edits,
        child="probes.py",
        request=request,
        mounts=mounts,
        timeout=timeout,
    )
    if said.lines is None:
        return ProbeRun({}, said.stopped, "the probes' process was ended before it could report", said.seconds)
    found = read_lines(said.lines)
    reports = {labels[label]: report for label, report in found.items() if label in labels}
    return ProbeRun(reports, said.stopped, said.output, said.seconds, said.rewritten)


def check_oracle(
    oracle: Oracle,
    backend: SandboxBackend,
    build: Build,
    edits: Edits,
    *,
    timeout: float,
    changed: Collection[str] | None = None,
) -> OracleRun:
    """Run a task's probes on a state and compare; the arguments are those of ``run_probes``.

    Raises:
        SandboxError: the machine failed.
    """
    sentinels = make_probe_sentinels(oracle)
    programs = [(program.path, program.source) for program in oracle.programs]
    programs[sentinels.program] = (programs[sentinels.program][0], sentinels.source)
    entries = [*sentinels.must_end, *sentinels.must_fail]
    calls = [
        *(Call(probe.program, probe.entry) for probe in oracle.probes),
        *(Call(sentinels.program, entry) for entry in entries),
    ]
    run = run_probes(backend, build, edits, programs=programs, calls=calls, timeout=timeout, changed=changed)
    unmet = unmet_probes(dict(enumerate(oracle.probes)), run.reports)
    told = {entry: run.reports[at] for at, entry in enumerate(entries, len(oracle.probes)) if at in run.reports}
    return OracleRun(
        {oracle.probes[number].test: why for number, why in unmet.items()}, run, forged_sentinels(sentinels, told)
    )
