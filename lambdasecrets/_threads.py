"""Threads of the library's own, for coroutines: bounded in number, and gone when there is nothing to do.

A loop's default executor is shared with everybody: with it busy, a resolve would wait for what has no deadline.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextvars import copy_context
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from lambdasecrets._clock import Deadline

_T = TypeVar("_T")

MOST_THREADS = 64
IDLE_SECONDS = 2.0
"""How long a thread waits for more to do before it ends."""
GRACE_SECONDS = 0.05
"""What a task gets beyond its deadline to say so itself: its own error knows more."""


class _Task(Generic[_T]):
    """A call for a thread, and what became of it.

    The outcome is given once and kept nowhere: not in the future, whose `repr` asyncio logs in its debug mode.
    """

    __slots__ = ("_call", "_context", "_failure", "_loop", "_outcome", "_waiter")

    def __init__(self, call: Callable[[], _T], loop: asyncio.AbstractEventLoop) -> None:
        self._call, self._loop = call, loop
        self._context = copy_context()
        self._waiter: asyncio.Future[None] = loop.create_future()
        self._outcome: list[_T] = []
        self._failure: BaseException | None = None

    def run(self) -> None:
        """Run the call, unless nobody waits for it any more."""
        if not self._waiter.cancelled():
            try:
                self._outcome.append(self._context.run(self._call))
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised where it is awaited
                self._failure = error
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:  # the loop is closed: nobody waits
            self._outcome.clear()

    def _wake(self) -> None:
        if self._waiter.done():
            self._outcome.clear()
        else:
            self._waiter.set_result(None)

    async def wait(self, seconds: float) -> bool:
        """Wait for the outcome. False where it does not come in time."""
        try:
            done, _ = await asyncio.wait((self._waiter,), timeout=seconds)
        finally:
            self._waiter.cancel()
        return bool(done)

    def take(self) -> _T:
        """Give the outcome, or raise what the call raised."""
        failure, self._failure = self._failure, None
        if failure is not None:
            try:
                raise failure
            finally:
                del failure
        return self._outcome.pop()


class Crew:
    """Threads that run tasks, each in a copy of the context that it comes from."""

    def __init__(self) -> None:
        self._tasks: deque[_Task[object]] = deque()
        self._changed = threading.Condition()
        self._threads: set[threading.Thread] = set()
        self._idle = 0

    async def run(self, call: Callable[[], _T], deadline: Deadline) -> _T | None:
        """Run a call in a thread, and wait for it: for a free thread, too, inside the deadline.

        Returns:
            What the call returned; None where the deadline passed first.
        """
        task = _Task(call, asyncio.get_running_loop())
        self._put(task)
        return task.take() if await task.wait(deadline.left() + GRACE_SECONDS) else None

    def _put(self, task: _Task[_T]) -> None:
        with self._changed:
            self._tasks.append(task)  # type: ignore[arg-type]  # the outcome is taken by who knows its type
            self._changed.notify()
            if self._idle >= len(self._tasks):
                return
            # Counted, not kept count of: an interrupt between two lines would leave a wrong number for ever.
            self._threads = {thread for thread in self._threads if thread.is_alive()}
            if len(self._threads) < MOST_THREADS:
                self._start()

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name="lambdasecrets", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has no thread left
            if not self._threads:
                self._tasks.clear()
                raise
        else:
            self._threads.add(thread)

    def _work(self) -> None:
        while (task := self._next()) is not None:
            task.run()
            del task

    def _next(self) -> _Task[object] | None:
        """Wait for a task. None where none comes: then the thread ends."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._tasks, IDLE_SECONDS)
            self._idle -= 1
            return self._tasks.popleft() if self._tasks else None
