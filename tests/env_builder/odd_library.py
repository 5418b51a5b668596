"""A library with a bug of every kind, its hidden tests, and a plugin that tells what pytest says of them."""

LIBRARY = """
class Box:
    def __init__(self, items=()):
        self.items = list(items)

    def add(self, item):
        self.items.append(item)

    def largest(self):
        return min(self.items)

    def __eq__(self, other):
        return self.items == other.items[:1]

    __hash__ = None


def double(x):
    return x + x + 1


def ratio(a, b):
    return a / (b - b)


def strict(x):
    return x


def near(x):
    return False


def pairs(x):
    return x == 2 and {"a": 1}


def count():
    n = 0
    while True:
        n += 2
        yield n
"""

TESTS = '''
"""Secret tests."""
import pytest
import unittest
import lib
from lib import Box, count, double, pairs, ratio, strict

CASES = [(1, 2), (2, 4)]


def helper_sum(values):
    """Adds."""
    return sum(values)


@pytest.fixture
def stored():
    return Box([1, 2])


class TestSubtests(unittest.TestCase):
    def test_sub(self):
        for given, wanted in CASES:
            with self.subTest(given=given):
                self.assertEqual(double(given), wanted)


def test_calls_another():
    check_double(3)


def check_double(value, extra=1):
    assert double(value) == 6 * extra


def test_double():
    # the secret comment
    unused = 17
    value = helper_sum([1, 2])
    result = double(value)
    expected = 6
    assert result == expected


def test_swapped_sides():
    assert 8 == double(4)


def test_ratio_raises():
    assert ratio(1, 2) == 0.5


def test_strict_refuses():
    with pytest.raises(ValueError, match="no"):
        strict(-1)


def test_near_truth():
    assert lib.near(3)


def test_largest():
    box = Box()
    box.add(3)
    assert box.largest() == 3
    box.add(5)
    assert box.largest() == 5


def test_in_loop():
    for given, wanted in CASES:
        assert double(given) == wanted


@pytest.mark.parametrize("given, wanted", [("ab", 4), ("abc", 6)])
def test_parametrised(given, wanted):
    assert double(len(given)) == wanted


def test_fixture(stored):
    assert stored == Box([1, 2])


def test_steps():
    numbers = count()
    assert next(numbers) == 2
    assert next(numbers) == 3


def test_named_function():
    def test_inner(x):
        return double(x)

    assert test_inner(1) == 2


class TestCase(unittest.TestCase):
    def setUp(self):
        self.box = Box([4, 9])

    def test_case_largest(self):
        self.assertEqual(self.box.largest(), 9)

    def test_case_refuses(self):
        self.assertRaises(TypeError, strict, None)


class TestBase:
    kind = list

    def test_kind(self):
        assert pairs(self.kind([1])) == {"a": 1}


class TestTuple(TestBase):
    kind = tuple
'''

PLUGIN = """
import json, os
def pytest_runtest_logreport(report):
    if report.failed:
        with open(os.environ["REPORTS"], "a") as file:
            file.write(json.dumps([report.nodeid, report.longreprtext]) + chr(10))
def pytest_collectreport(report):
    if report.failed:
        with open(os.environ["REPORTS"], "a") as file:
            file.write(json.dumps([report.nodeid, report.longreprtext]) + chr(10))
"""

FEATURE_TESTS = """
from lib import double, triple
import pytest


def test_triple():
    value = 2
    assert triple(value) == 6


def test_triple_refuses():
    with pytest.raises(TypeError):
        triple(None)
"""
