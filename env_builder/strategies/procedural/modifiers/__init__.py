"""All modifiers by name. A modifier finds its sites in one function and gives one edit for each way to spoil a site."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from env_builder.strategies.procedural.edit import Edit
from env_builder.strategies.procedural.function import Function
from env_builder.strategies.procedural.modifiers.assignments import remove_assignment, remove_call, shuffle_statements
from env_builder.strategies.procedural.modifiers.branches import (
    change_jump,
    remove_branch,
    remove_guard,
    remove_loop,
    remove_wrapper,
)
from env_builder.strategies.procedural.modifiers.calls import (
    change_call,
    drop_argument,
    remove_conversion,
    swap_arguments,
)
from env_builder.strategies.procedural.modifiers.conditions import break_chain, invert_condition
from env_builder.strategies.procedural.modifiers.constants import change_constant, change_default, off_by_one
from env_builder.strategies.procedural.modifiers.operators import change_operator, swap_operands
from env_builder.strategies.procedural.modifiers.results import change_exception, flip_return, swap_variables

Modifier = Callable[[Function], Iterator[Edit]]

MODIFIERS: Mapping[str, Modifier] = MappingProxyType(
    {
        modifier.__name__: modifier
        for modifier in (
            invert_condition,
            change_operator,
            swap_operands,
            change_constant,
            remove_assignment,
            remove_branch,
            shuffle_statements,
            remove_loop,
            remove_wrapper,
            break_chain,
            flip_return,
            drop_argument,
            change_default,
            remove_guard,
            off_by_one,
            change_jump,
            remove_call,
            swap_arguments,
            change_call,
            remove_conversion,
            change_exception,
            swap_variables,
        )
    }
)
"""Every kind of bug that can be planted; the strategy of a candidate is ``procedural.<name>``."""
