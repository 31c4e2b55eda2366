"""Workers: background coroutines of the app, whose errors are shown and never end it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar, TypeVarTuple

from textual.worker import Worker

T = TypeVar("T")
Args = TypeVarTuple("Args")

LASTING = "lasting"
"""Group of workers that run as long as their mode is there, and say nothing of what happens."""


class RunsWorkers(Protocol):
    """A node of Textual's, or the app as its parts see it."""

    def run_worker(
        self,
        work: Callable[[], Coroutine[Any, Any, T]],
        name: str | None = "",
        group: str = "default",
        description: str = "",
        exit_on_error: bool = True,
        start: bool = True,
        exclusive: bool = False,
        thread: bool = False,
    ) -> Worker[T]: ...


def start_worker(
    node: RunsWorkers,
    work: Callable[[*Args], Coroutine[Any, Any, T]],
    *args: *Args,
    group: str,
    exclusive: bool = False,
) -> Worker[T]:
    """Run a coroutine function in the background.

    It takes the function, not a coroutine: a coroutine of a worker that is cancelled before its first step
    would never be awaited, and Python warns of that.

    Args:
        node: what the worker belongs to. It is cancelled when the node is removed; its state changes are sent
            to the node and from there to the screen or the app, whose `look_after_worker` shows an error.
        work: the coroutine function.
        args: what it is called with.
        group: the name under which the workers of a node are found and cancelled.
        exclusive: cancel the workers of this group first.
    """

    async def run() -> T:
        return await work(*args)

    return node.run_worker(run, group=group, exclusive=exclusive, exit_on_error=False)
