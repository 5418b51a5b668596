"""Work on many items at once, in this process: the work itself is done by sandboxes, so threads do."""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def fan_out(
    items: Iterator[Item], work: Callable[[Item], Result], *, workers: int, give_up: Callable[[], None]
) -> Iterator[tuple[Item, Result]]:
    """Yield each item with its result as they come, in no order.

    An item is taken only when a worker is free, so ``items`` may decide late to end. When the consumer stops early, is
    interrupted, or ``work`` raises, ``give_up`` is called: it should make what runs end soon, which is waited for.
    """
    running: dict[Future[Result], Item] = {}
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="repodojo") as executor:
        try:
            while True:
                while len(running) < workers and (item := next(items, None)) is not None:
                    running[executor.submit(work, item)] = item
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        except BaseException:
            give_up()
            raise
