"""Threads of the library's own: in bounds, in a copy of the context, in time, and gone when idle."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from lambdasecrets import _threads
from lambdasecrets._clock import Deadline, make_deadline
from lambdasecrets._threads import Crew

SECONDS = 10.0
SPOKEN: ContextVar[str] = ContextVar("spoken", default="nothing")


def soon(seconds: float = SECONDS) -> Deadline:
    """Give a deadline."""
    return make_deadline(seconds)


def run(crew: Crew, call: Callable[[], Any], seconds: float = SECONDS) -> Any:
    """Run one call in a loop of its own."""
    return asyncio.run(crew.run(call, soon(seconds)))


def names() -> list[str]:
    """List the library's threads."""
    return [thread.name for thread in threading.enumerate() if thread.name == "lambdasecrets"]


def test_gives_what_a_call_returns() -> None:
    """A call runs in a thread of the library's, and its result comes back."""
    assert run(Crew(), lambda: threading.current_thread().name) == "lambdasecrets"


def test_raises_what_a_call_raises() -> None:
    """Whatever a call raises is raised where it is awaited."""

    def fail() -> None:
        raise SystemExit(3)

    async def ask() -> object:
        try:
            return await Crew().run(fail, soon())
        except SystemExit as error:
            return error.code

    assert asyncio.run(ask()) == 3


def test_runs_in_a_copy_of_the_context() -> None:
    """A call sees the context it comes from, and changes none but its own."""

    async def ask(crew: Crew, text: str) -> tuple[str, str]:
        SPOKEN.set(text)

        def speak() -> str:
            heard = SPOKEN.get()
            SPOKEN.set("changed")
            return heard

        return str(await crew.run(speak, soon())), SPOKEN.get()

    async def many() -> list[tuple[str, str]]:
        crew = Crew()
        return list(await asyncio.gather(*(ask(crew, str(number)) for number in range(5))))

    assert asyncio.run(many()) == [(str(number), str(number)) for number in range(5)]


def test_waits_no_longer_than_the_deadline() -> None:
    """A call that does not end in time gives None, and what it returns later is dropped."""
    hold = threading.Event()
    began = time.monotonic()
    assert run(Crew(), lambda: hold.wait(SECONDS), 0.1) is None
    assert time.monotonic() - began < SECONDS / 2
    hold.set()


def test_waiting_for_a_thread_is_inside_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """With every thread at work a call waits for one, no longer than its deadline, and is not run after it."""
    monkeypatch.setattr(_threads, "MOST_THREADS", 2)
    hold = threading.Event()
    ran: list[int] = []

    def run_late() -> int:  # pragma: no cover - it is not run
        ran.append(1)
        return len(ran)

    async def many() -> list[Any]:
        crew = Crew()
        busy = [asyncio.create_task(crew.run(lambda: hold.wait(SECONDS), soon())) for _ in range(2)]
        await asyncio.sleep(0.05)
        late = await crew.run(run_late, soon(0.1))
        hold.set()
        return [late, *await asyncio.gather(*busy)]

    assert (asyncio.run(many()), ran) == ([None, True, True], [])


def test_threads_are_used_again_and_end_when_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """One call after the other needs one thread, which ends when nothing comes."""
    monkeypatch.setattr(_threads, "IDLE_SECONDS", 0.1)

    async def many() -> set[object]:
        crew = Crew()
        return {await crew.run(threading.get_ident, soon()) for _ in range(5)}

    assert len(asyncio.run(many())) <= 2  # one may not be back yet when the next call comes
    ends = time.monotonic() + SECONDS
    while names() and time.monotonic() < ends:
        time.sleep(0.02)
    assert names() == []


def test_a_cancelled_task_is_cancelled() -> None:
    """Who cancels the awaiting task gets its cancellation, and the loop goes on."""
    hold = threading.Event()

    async def ask() -> bool:
        task = asyncio.create_task(Crew().run(lambda: hold.wait(SECONDS), soon()))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait([task])
        hold.set()
        await asyncio.sleep(0.05)
        return task.cancelled()

    assert asyncio.run(ask())


def test_a_loop_that_has_gone_is_no_matter() -> None:
    """A call that ends after its loop was closed disturbs nobody."""
    hold = threading.Event()
    assert run(Crew(), lambda: hold.wait(SECONDS), 0.05) is None
    hold.set()
    time.sleep(0.05)


@pytest.mark.parametrize("has_threads", [False, True])
def test_a_system_without_threads(monkeypatch: pytest.MonkeyPatch, has_threads: bool) -> None:
    """Where no thread can be started that is the error, unless the threads there are can do it."""
    crew = Crew()

    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    async def ask() -> object:
        hold = threading.Event()
        busy = asyncio.create_task(crew.run(lambda: hold.wait(SECONDS), soon())) if has_threads else None
        await asyncio.sleep(0.05)
        monkeypatch.setattr(threading.Thread, "start", refuse)
        try:
            asked = asyncio.create_task(crew.run(lambda: "done", soon()))
            await asyncio.sleep(0.05)
            hold.set()
            return await asked
        except RuntimeError as error:
            return str(error)
        finally:
            monkeypatch.undo()
            if busy is not None:
                await busy

    assert asyncio.run(ask()) == ("done" if has_threads else "can't start new thread")


def test_asyncios_debug_log_shows_no_outcome(caplog: pytest.LogCaptureFixture) -> None:
    """What asyncio logs in its debug mode of a slow step does not show what a call returned."""
    caplog.set_level("DEBUG")

    async def ask() -> object:
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 0.0
        return len(await Crew().run(lambda: "canary", soon()) or "")

    assert asyncio.run(ask(), debug=True) == 6
    assert "canary" not in caplog.text
