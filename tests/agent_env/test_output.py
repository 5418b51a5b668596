"""Bounded output: whole where it fits, else both ends and an exact count."""

from hypothesis import given
from hypothesis import strategies as st

from agent_env.sandbox.output import BoundedOutput


@given(parts=st.lists(st.binary(max_size=50)), limit=st.integers(2, 40).map(lambda half: 2 * half))
def test_both_ends_are_kept_and_the_rest_is_counted(parts: list[bytes], limit: int) -> None:
    output = BoundedOutput(limit)
    for part in parts:
        output.add(part)
    data = b"".join(parts)
    half = limit // 2
    if len(data) <= limit:
        assert output.text() == data.decode(errors="replace")
    else:
        cut = f"\n[... {len(data) - limit} bytes cut ...]\n"
        assert output.text() == data[:half].decode(errors="replace") + cut + data[-half:].decode(errors="replace")


def test_a_character_across_two_writes_is_whole() -> None:
    output = BoundedOutput(1000)
    for byte in "世".encode():
        output.add(bytes([byte]))
    assert output.text() == "世"


def test_a_character_across_the_middle_is_whole_where_nothing_is_cut() -> None:
    output = BoundedOutput(8)
    output.add("aaa世b".encode())
    assert output.text() == "aaa世b"


def test_what_is_held_does_not_grow_with_what_comes() -> None:
    output = BoundedOutput(100)
    for _ in range(1000):
        output.add(b"x" * 1000)
    assert len(output._head) + len(output._tail) <= 200
    assert "[... 999900 bytes cut ...]" in output.text()
