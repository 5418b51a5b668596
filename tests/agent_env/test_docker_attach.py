"""The attach stream: blocks of two streams over one socket, cut anywhere."""

import socket
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_env.sandbox.docker.attach import AttachTransport
from agent_env.sandbox.transport import ShellGoneError

blocks = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=20)), max_size=6)


class Holder:
    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def ends() -> Iterator[tuple[AttachTransport, socket.socket]]:
    ours, theirs = socket.socketpair()
    holder = Holder()
    transport = AttachTransport(ours, holder)
    yield transport, theirs
    transport.close()
    theirs.close()
    assert holder.closed


@given(blocks=blocks, cuts=st.sets(st.integers(0, 200)))
def test_blocks_come_out_by_stream_wherever_they_are_cut(blocks: list[tuple[int, bytes]], cuts: set[int]) -> None:
    wire = b"".join(bytes([kind, 0, 0, 0]) + len(data).to_bytes(4) + data for kind, data in blocks)
    ours, theirs = socket.socketpair()
    transport = AttachTransport(ours, Holder())
    status = output = b""
    for begin, end in pairwise(sorted({0, len(wire)} | {cut for cut in cuts if cut < len(wire)})):
        theirs.sendall(wire[begin:end])
        got = transport.receive(1)
        status, output = status + got.status, output + got.output
    assert status == b"".join(data for kind, data in blocks if kind == 1)
    assert output == b"".join(data for kind, data in blocks if kind == 2)
    transport.close()
    theirs.close()


def test_nothing_yet_is_nothing(ends: tuple[AttachTransport, socket.socket]) -> None:
    assert ends[0].receive(0.01) == (b"", b"", False)


def test_the_end_of_the_stream_is_told_and_stays(ends: tuple[AttachTransport, socket.socket]) -> None:
    ends[1].close()
    assert ends[0].receive(1) == (b"", b"", True)
    assert ends[0].receive(1) == (b"", b"", True)
    with pytest.raises(ShellGoneError):
        ends[0].send(b"x", time.monotonic() + 1)


def test_what_is_sent_arrives_whole(ends: tuple[AttachTransport, socket.socket]) -> None:
    ends[0].send(b"command\0", time.monotonic() + 1)
    assert ends[1].recv(100) == b"command\0"


def test_what_nobody_takes_is_a_timeout(ends: tuple[AttachTransport, socket.socket]) -> None:
    with pytest.raises(TimeoutError):
        ends[0].send(b"x" * 10_000_000, time.monotonic() + 0.05)
