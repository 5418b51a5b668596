"""Traces: sampled tokens are trained, and nothing else is."""

import pytest

from rl_trainer.tokens import Origin, TokenRecord, Trace


def test_a_trace_keeps_each_token_with_its_history() -> None:
    trace = Trace()
    trace.add([5, 6], Origin.OBSERVED)
    trace.add([1], Origin.TEMPLATE)
    trace.add_sampled([8, 9], [-0.5, -1.25], version=3)
    assert list(trace) == [
        TokenRecord(5, Origin.OBSERVED, 0.0, 0, False),
        TokenRecord(6, Origin.OBSERVED, 0.0, 0, False),
        TokenRecord(1, Origin.TEMPLATE, 0.0, 0, False),
        TokenRecord(8, Origin.SAMPLED, -0.5, 3, True),
        TokenRecord(9, Origin.SAMPLED, -1.25, 3, True),
    ]
    assert (len(trace), trace.trained) == (5, 2)


def test_sampled_tokens_without_logprobs_are_refused() -> None:
    with pytest.raises(ValueError, match="add_sampled"):
        Trace().add([1], Origin.SAMPLED)
    with pytest.raises(ValueError, match="2 sampled tokens came with 1"):
        Trace().add_sampled([1, 2], [0.0], version=0)
