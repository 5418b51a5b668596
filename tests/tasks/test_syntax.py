"""Parsing from several threads at once."""

from concurrent.futures import ThreadPoolExecutor

from tasks.syntax import parse_python

SOURCE = "\n".join(f"def f{n}(a, b=({n}, [1, {{'x': 2}}])):\n    return a + b[0] if a else None" for n in range(300))


def test_threads_do_not_disturb_each_other() -> None:
    with ThreadPoolExecutor(8) as pool:
        trees = list(pool.map(lambda _: parse_python(SOURCE), range(16)))
    assert {len(tree.body) for tree in trees} == {300}
