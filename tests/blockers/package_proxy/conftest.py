"""A door to a toy index on this machine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from blockers.package_proxy.cache import FileCache
from blockers.package_proxy.door import Door
from blockers.package_proxy.frozen import FrozenIndex
from blockers.package_proxy.upstream import Upstream
from tests.blockers.package_proxy.asking import POLICY
from tests.blockers.toy_index import ToyIndex, serve_toy_index


@pytest.fixture
def toy() -> Iterator[ToyIndex]:
    with serve_toy_index() as index:
        yield index


@pytest.fixture
def upstream(toy: ToyIndex, tmp_path: Path) -> Upstream:
    return Upstream(f"{toy.url}/simple", FileCache(tmp_path / "cache"))


@pytest.fixture
def door(upstream: Upstream, tmp_path: Path) -> Iterator[Door]:
    opened = Door(FrozenIndex(upstream, POLICY), tmp_path, "door")
    yield opened
    opened.close()
