"""The build pipeline: its fixed order, its cut, what it keeps, and how it ends."""

import threading
from collections import deque
from collections.abc import Sequence
from itertools import permutations, starmap
from pathlib import Path

import pytest

from env_builder.candidate import Candidate
from env_builder.cut import Cut
from env_builder.fanout import fan_out
from env_builder.keeper import Keeper
from env_builder.plan import FAMILIES, Planned, RepoPlan, check_strategies, in_order, plan_repo
from env_builder.repo_list import load_repo_list
from env_builder.request import RepoRequest
from env_builder.snapshot import RepoSnapshot
from env_builder.sources.open import open_source
from env_builder.trial import Trial, raise_if_full
from tasks.certificate import Certificate
from tasks.errors import BadInputError, InfraError
from tasks.ledger import CandidateEntry, EnvironmentEntry, Outcome
from tasks.pool import Pool
from tasks.task import Statement, Task


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPODOJO_HOME", str(tmp_path / "home"))


def project(folder: Path) -> RepoRequest:
    (folder / "tests").mkdir(parents=True)
    (folder / "mod.py").write_text("def f(x):\n    if x > 1:\n        return x + 1\n    return 0\n")
    (folder / "aside.py").write_text("def g(x):\n    return x - 1\n")
    (folder / "tests" / "test_mod.py").write_text("import mod\ndef test_f(): assert mod.f(2) == 3\n")
    (request,) = load_repo_list(folder)
    return request


def plan(request: RepoRequest, strategies: Sequence[str] = FAMILIES, seed: int = 0, limit: int = 50) -> list[Planned]:
    source = open_source(request)
    found = plan_repo(request, source, source.snapshot(), strategies=strategies, seed=seed, limit=limit)
    source.close()
    return in_order([found])


def entry(candidate_id: str, outcome: Outcome = "certified", reason: str = "") -> CandidateEntry:
    task = None
    if outcome == "certified":
        task = Task(
            id=candidate_id,
            repo="x",
            commit="0" * 40,
            licence="MIT",
            environment_id="e",
            strategy="procedural.x",
            setup_patch="",
            gold_patch="",
            test_patch="",
            fail_to_pass=("t",),
            pass_to_pass=(),
            test_command="pytest",
            statement=Statement(text="It is broken.", method="template"),
            certificate=Certificate(start_runs=(), gold_runs=(), sandbox="bubblewrap", digests={}),
        ).model_dump_json()
    return CandidateEntry(candidate_id, "e", "x", "procedural.x", outcome, reason, "", 1.0, 10, task)


def planned(*ids: str) -> list[Planned]:
    """Places in the order for candidates of these ids."""
    request = RepoRequest(source="x", name="x")
    found = []
    for number, name in enumerate(ids):
        candidate = Candidate(repo="x", commit="0" * 40, strategy="s", broken={}, gold={}, tests={}, target=name)
        candidate.__dict__["id"] = name
        found.append(Planned(number, candidate, None, request))  # type: ignore[arg-type]
    return found


def test_the_plan_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    request = project(tmp_path / "proj")
    first = [item.candidate.id for item in plan(request)]
    assert first == [item.candidate.id for item in plan(request)]
    assert sorted(first) == sorted(item.candidate.id for item in plan(request, seed=1))
    assert len(set(first)) == len(first) > 5
    assert [item.candidate.id for item in plan(request, limit=3)] == first[:3]


def test_one_modifier_can_be_asked_for(tmp_path: Path) -> None:
    found = plan(project(tmp_path / "proj"), ["procedural.invert_condition"])
    assert {item.candidate.strategy for item in found} == {"procedural.invert_condition"}


@pytest.mark.parametrize("glob", ["aside.py", "as*.py"])
def test_excluded_paths_are_left_alone(tmp_path: Path, glob: str) -> None:
    request = project(tmp_path / "proj").model_copy(update={"exclude": (glob,)})
    assert {path for item in plan(request) for path in item.candidate.broken} == {"mod.py"}


def test_repositories_and_families_take_turns(tmp_path: Path) -> None:
    snapshot = open_source(project(tmp_path / "proj")).snapshot()
    request = RepoRequest(source="x", name="x")

    def lane(name: str, length: int) -> list[Candidate]:
        return [
            Candidate(
                repo=name, commit=snapshot.commit, strategy="s", broken={str(n): b""}, gold={}, tests={}, target=""
            )
            for n in range(length)
        ]

    snapshots: dict[str, RepoSnapshot] = {snapshot.commit: snapshot}
    plans = [RepoPlan(request, [lane("a", 3), lane("b", 1)], snapshots), RepoPlan(request, [lane("c", 2)], snapshots)]
    ordered = in_order(plans)
    assert [item.candidate.repo for item in ordered] == ["a", "b", "c", "a", "c", "a"]
    assert [item.number for item in ordered] == list(range(6))


@pytest.mark.parametrize(
    ("names", "said"),
    [(["histroy"], "did you mean 'history'"), (["procedural.invert"], "did you mean"), ([], "no strategy")],
)
def test_unknown_strategies_are_refused(names: list[str], said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        check_strategies(names)


def test_the_cut_does_not_depend_on_who_ended_first() -> None:
    entries = [entry("a"), entry("b", "rejected", "flaky"), entry("c"), entry("d"), entry("e")]
    for order in permutations(range(5)):
        cut = Cut(2)
        for number in order:
            cut.settle(number, entries[number])
        assert [kept.candidate_id for kept in cut.certified] == ["a", "c"]
        assert (cut.tried, cut.reasons(), cut.is_full) == (3, {"flaky": 1}, True)


def test_the_cut_waits_for_what_is_open() -> None:
    cut = Cut(None)
    cut.settle(1, entry("b"))
    assert cut.certified == []
    cut.settle(0, entry("a"))
    assert (cut.tried, cut.is_full) == (2, False)


def test_fan_out_gives_every_result_once() -> None:
    found = dict(fan_out(iter(range(1, 30)), lambda number: number * number, workers=4, give_up=lambda: None))
    assert found == {number: number * number for number in range(1, 30)}


def test_fan_out_takes_no_item_before_a_worker_is_free() -> None:
    taken: list[int] = []
    items = (taken.append(number) or number for number in range(1, 100))  # type: ignore[func-returns-value]
    results = fan_out(items, lambda number: number, workers=2, give_up=lambda: None)
    next(results)
    assert len(taken) <= 2
    results.close()


def test_fan_out_gives_up_what_runs_when_it_is_interrupted() -> None:
    given_up = threading.Event()

    def work(number: int) -> int:
        if number == 1:
            raise KeyboardInterrupt
        assert given_up.wait(20)
        return number

    with pytest.raises(KeyboardInterrupt):
        list(fan_out(iter([1, 2]), work, workers=2, give_up=given_up.set))
    assert given_up.is_set()


def test_what_is_settled_is_kept_at_once_and_found_again(tmp_path: Path) -> None:
    order = planned("a", "b", "c", "d")
    outcomes = [entry("a"), entry("b", "rejected", "no_failing_test"), entry("c"), entry("d", "failed", "infra")]
    with Keeper(tmp_path / "pool", Cut(None)) as keeper:
        assert keeper.resume(order) == order
        for place, found in zip(order, outcomes, strict=True):
            keeper.keep(place, Trial(found, None))
        keeper.attempts.put(EnvironmentEntry("x", "0", None, "rejected", "no_tests", "log", 0.5))
    with Keeper(tmp_path / "pool", Cut(None)) as again:
        assert [item.candidate.id for item in again.resume(order)] == ["d"]
        again.save()
        assert [task.id for task in again.pool.tasks()] == ["a", "c"]
    with Pool(tmp_path / "pool").open_ledger() as ledger:
        assert [attempt.reason for attempt in ledger.environments()] == ["no_tests"]


def test_the_pool_hash_does_not_depend_on_order_or_interruption(tmp_path: Path) -> None:
    order = planned("a", "b", "c")
    hashes = set()
    for name, numbers in (("one", [0, 1, 2]), ("two", [2, 1, 0])):
        for number in numbers:
            with Keeper(tmp_path / name, Cut(2)) as keeper:
                keeper.resume(order)
                keeper.keep(order[number], Trial(entry(order[number].candidate.id), None))
                keeper.save()
        with Keeper(tmp_path / name, Cut(2)) as keeper:
            assert keeper.resume(order) == []
            keeper.save()
            hashes.add(keeper.pool.hash)
            assert [task.id for task in keeper.pool.tasks()] == ["a", "b"]
    assert len(hashes) == 1


def test_a_pool_that_nothing_came_of_is_removed(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        with Keeper(tmp_path / name, Cut(None)) as keeper:
            keeper.abandon()
    assert not (tmp_path / "new").exists()
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_pool_that_was_there_is_never_removed(tmp_path: Path) -> None:
    Pool.create(tmp_path / "pool")
    with Keeper(tmp_path / "pool", Cut(None)) as keeper:
        keeper.abandon()
    Pool(tmp_path / "pool")


def test_a_directory_that_is_no_pool_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(BadInputError, match="is not a pool"):
        Keeper(tmp_path / "other", Cut(None))
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["letter.txt"]


def test_a_full_disk_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught, Path("/dev/full").open("wb", buffering=0) as full:
        full.write(b"x")
    with pytest.raises(InfraError, match=r"the disk is full.*make room"):
        raise_if_full(caught.value)


def test_a_ledger_that_cannot_grow_stops_the_build_and_stays_whole(tmp_path: Path) -> None:
    order = planned("a", *(f"b{number}" for number in range(200)))
    with Keeper(tmp_path / "pool", Cut(None)) as keeper:
        keeper.keep(order[0], Trial(entry("a"), None))
        keeper._ledger._connection.execute("PRAGMA max_page_count=10")
        large = [(place, Trial(entry(place.candidate.id)._replace(detail="x" * 4000), None)) for place in order[1:]]
        with pytest.raises(InfraError, match="cannot be written"):
            deque(starmap(keeper.keep, large))
    with Keeper(tmp_path / "pool", Cut(None)) as again:
        assert order[0] not in again.resume(order)
