"""Threads of the library's own, for coroutines: bounded in number, and gone when there is nothing to do.

A loop's default executor is shared with everybody: with it busy, a resolve would wait for what has no deadline.
"""

from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

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


class _Worker:
    """A thread of the crew, and whether it waits for a task."""

    def __init__(self, tasks: SimpleQueue[_Task[Any]]) -> None:
        self._tasks = tasks
        self.is_idle = False
        self.thread = threading.Thread(target=self._work, name="lambdasecrets", daemon=True)

    def _work(self) -> None:
        while (task := self._take()) is not None:
            task.run()
            del task

    def _take(self) -> _Task[Any] | None:
        """Wait for a task. None where none comes: then the thread ends."""
        self.is_idle = True
        try:
            return self._tasks.get(timeout=IDLE_SECONDS)
        except Empty:
            # Whoever puts a task looks for idle workers after it: one that was put until now is seen here.
            self.is_idle = False
            return None if self._tasks.empty() else self._take()
        finally:
            self.is_idle = False


class Crew:
    """Threads that run tasks, each in a copy of the context that it comes from.

    There is no lock: an interrupt at the wrong moment would leave it locked for ever.
    """

    def __init__(self) -> None:
        self._tasks: SimpleQueue[_Task[Any]] = SimpleQueue()  # what a task gives is taken by who knows its type
        self._workers: tuple[_Worker, ...] = ()

    async def run(self, call: Callable[[], _T], deadline: Deadline) -> _T | None:
        """Run a call in a thread, and wait for it: for a free thread, too, inside the deadline.

        Returns:
            What the call returned; None where the deadline passed first.
        """
        task = _Task(call, asyncio.get_running_loop())
        self._tasks.put(task)
        self._start_worker()
        return task.take() if await task.wait(deadline.left() + GRACE_SECONDS) else None

    def _start_worker(self) -> None:
        workers = tuple(worker for worker in self._workers if worker.thread.is_alive())
        idle = sum(worker.is_idle for worker in workers)
        if idle >= self._tasks.qsize() or len(workers) >= MOST_THREADS:
            return
        worker = _Worker(self._tasks)
        try:
            worker.thread.start()
        except RuntimeError:  # the system has no thread left
            if not workers:
                raise
        else:
            self._workers = (*workers, worker)
