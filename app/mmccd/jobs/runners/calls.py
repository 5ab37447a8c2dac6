"""Calls of one function spread over Dask's workers, for what is no task of a cohort."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from mmccd.core import MmccdError
from mmccd.jobs.runners.cluster import (
    Item,
    Stopped,
    Terms,
    Workers,
    connected,
    result_of,
    spread,
)

if TYPE_CHECKING:
    from distributed import Future


def spread_calls(
    function: Callable[[Item, str], None],
    items: Sequence[Item],
    shown: Callable[[Item], str],
    device: str,
    workers: Workers,
) -> Iterator[Item]:
    """Call ``function(item, device)`` for all items, one at a time in each worker.

    Args:
        function: of a module; what it makes it leaves in a file.
        items: what it is called with; they travel to the workers, so they can be pickled.
        shown: name of an item, for messages.
        device: that was asked for; a numbered worker gets its own GPU.
        workers: who does it.

    Yields:
        Each item, as its call ends.

    Raises:
        KilledError: a worker was killed on an item, as often as it is tried.
        UsageError, ResourceError: see :func:`~mmccd.jobs.runners.cluster.result_of`.
        MmccdError: what a call raised.
    """
    if not items:
        return
    with connected(workers, len(items)) as client:
        terms = Terms.of(workers, client)

        def submit(item: Item) -> Future:
            return client.submit(_call, function, item, device, terms, pure=False)

        for future, item in spread(client, items, submit):
            result_of(future, shown(item))
            yield item


def _call(
    function: Callable[[Item, str], None], item: Item, device: str, terms: Terms
) -> Stopped | None:
    """In the worker."""
    with terms.at_work() as name:
        try:
            terms.check_version(name)
            function(item, terms.device(name, device))
        except MmccdError as error:
            return Stopped.by(error)
    return None
