"""What an invocation's context says, and which invocation runs here."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Callable
from decimal import Decimal
from math import inf
from types import SimpleNamespace
from typing import Any

import pytest

from lambdasecrets import DeclarationError, _invocation
from lambdasecrets._clock import Deadline
from lambdasecrets._invocation import RESERVE_SECONDS, Invocation, Scope, clean_error, find_invocation, invocation
from tests.labels import label


def context_of(milliseconds: object, **more: object) -> Any:
    """Make a context with some time left."""
    return SimpleNamespace(get_remaining_time_in_millis=lambda: milliseconds, **more)


def seconds_of(found: Invocation) -> float:
    """Give the seconds that an invocation has left."""
    return round(found.ends - time.monotonic(), 1)


class Everything:
    """An object that has every attribute, as a mock has."""

    def __getattr__(self, name: str) -> Any:
        return Everything()

    def __call__(self, *args: Any) -> Any:
        return Everything()


# --- What a context says ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "context", [context_of(2100), context_of(2100.0), SimpleNamespace(lambda_context=context_of(2100))]
)
def test_reads_the_remaining_time(context: object) -> None:
    """The context's remaining time less a reserve bounds the invocation, also where another object wraps it."""
    assert (seconds_of(Invocation(context)), RESERVE_SECONDS) == (2.0, 0.1)


def test_the_context_itself_comes_before_what_it_wraps() -> None:
    """A wrapper that says the time itself is asked."""
    assert seconds_of(Invocation(context_of(1100, lambda_context=context_of(9100)))) == 1.0


@pytest.mark.parametrize(
    "context",
    [
        None,
        object(),
        Everything(),
        SimpleNamespace(get_remaining_time_in_millis=None),
        context_of(Decimal(2100)),
        context_of(float("nan")),
        context_of(inf),
        context_of("2100"),
        context_of(True),
        context_of(None),
    ],
    ids=label,
)
def test_what_is_no_number_sets_no_bound(context: object) -> None:
    """None, a mock, a Decimal, NaN and infinity bound nothing."""
    found = Invocation(context)
    assert (found.ends, found.is_stateful, found.tenant_id) == (inf, False, None)


def test_a_time_that_is_over_is_a_bound() -> None:
    """A context with 0 ms says that the invocation's time is over."""
    assert Invocation(context_of(0)).make_deadline(5.0).seconds == 0.0


@pytest.mark.parametrize(
    "context", [context_of(1, tenant_id="acme"), SimpleNamespace(lambda_context=context_of(1, tenant_id="acme"))]
)
def test_reads_the_tenant(context: object) -> None:
    """The tenant is found as the time is."""
    assert Invocation(context).tenant_id == "acme"


@pytest.mark.parametrize("wrap", [lambda context: context, lambda context: SimpleNamespace(lambda_context=context)])
def test_reads_the_function(wrap: Callable[[object], object]) -> None:
    """The function's ARN is found as the time is, goes to the deadline, and is inherited; anything else is none."""
    with invocation(wrap(context_of(1100, invoked_function_arn="arn"))):
        assert find_invocation().make_deadline(5.0).function_arn == "arn"
        assert find_invocation(context_of(1)).function_arn == "arn"
    assert Invocation(wrap(context_of(1, invoked_function_arn=7))).function_arn is None


def test_the_outermost_context_that_says_it_counts() -> None:
    """Of two contexts that say all, the one around the other is read."""
    inner = context_of(1, tenant_id="inner", invoked_function_arn="inner")
    outer = context_of(2100, tenant_id="outer", invoked_function_arn="outer", lambda_context=inner)
    found = Invocation(outer)
    assert (seconds_of(found), found.tenant_id, found.function_arn) == (2.0, "outer", "outer")


def test_a_context_that_wraps_lambdas_keeps_state() -> None:
    """A durable function's context has Lambda's own inside."""
    assert [
        Invocation(context).is_stateful for context in (context_of(1), SimpleNamespace(lambda_context=context_of(1)))
    ] == [
        False,
        True,
    ]


# --- Which invocation runs ----------------------------------------------------------------------------------------


def test_nothing_runs_at_first() -> None:
    """Outside an invocation nothing bounds a resolve but its timeout."""
    found = find_invocation()
    assert (found.ends, found.make_deadline(5.0).bound) == (inf, "timeout")


def test_a_given_context_counts() -> None:
    """A context that is given is the invocation's."""
    assert seconds_of(find_invocation(context_of(1100))) == 1.0


def test_inside_the_invocation_is_inherited() -> None:
    """Inside `invocation` every resolve has its end and its tenant, and outside no more."""
    with invocation(context_of(1100, tenant_id="acme")):
        inside = find_invocation()
        assert (seconds_of(inside), inside.tenant_id) == (1.0, "acme")
    assert find_invocation().ends == inf


def test_an_inner_invocation_inherits_what_it_does_not_say() -> None:
    """A handler that is called with no context has the time and the tenant of the one around it."""
    with invocation(context_of(1100, tenant_id="acme")):
        scope = Scope(None)
        assert (seconds_of(scope.invocation), scope.invocation.tenant_id) == (1.0, "acme")
        scope.leave()
        own = Scope(context_of(500, tenant_id="own"))
        assert (seconds_of(own.invocation), own.invocation.tenant_id) == (0.4, "own")
        own.leave()


def test_what_outlives_its_invocation_has_its_own_time() -> None:
    """A task that goes on after the invocation keeps its tenant, not its end."""
    found: list[tuple[Deadline, str | None]] = []

    async def outlive() -> None:
        await asyncio.sleep(0.05)
        running = find_invocation()
        found.append((running.make_deadline(5.0), running.tenant_id))
        inner = Scope(None)
        found.append((inner.invocation.make_deadline(5.0), inner.invocation.tenant_id))
        inner.leave()

    async def main() -> None:
        with invocation(context_of(20, tenant_id="acme")):
            task = asyncio.create_task(outlive())
        await task

    asyncio.run(main())
    assert [(deadline.bound, tenant) for deadline, tenant in found] == [("timeout", "acme")] * 2


def test_is_left_in_another_context() -> None:
    """An invocation that is left where it was not entered ends all the same."""
    scope = contextvars.copy_context().run(Scope, context_of(1100))
    scope.leave()
    assert (scope.invocation.has_ended, find_invocation().ends) == (True, inf)


# --- The boundary -------------------------------------------------------------------------------------------------


def raise_inside(error: BaseException) -> BaseException:
    """Have a function of the library raise an error."""

    class Context:
        @property
        def tenant_id(self) -> str:
            raise error

    try:
        Invocation(Context())
    except BaseException as caught:  # noqa: BLE001 - whatever it is
        return caught
    raise AssertionError  # pragma: no cover - it raises


@pytest.mark.parametrize(
    ("error", "messages"),
    [
        (ValueError(), 1),
        (DeclarationError("a", "b", "c"), 0),
    ],
)
def test_says_at_debug_where_a_foreign_error_was_raised(
    caplog: pytest.LogCaptureFixture, error: BaseException, messages: int
) -> None:
    """The place of a fault of the library's own goes to the log at DEBUG, since its frames are gone."""
    caplog.set_level(logging.DEBUG, "lambdasecrets")
    clean_error(raise_inside(error))
    assert [f"{type(error).__name__} was raised in the library at {_invocation.__file__}:"] * messages == [
        record.getMessage().rpartition(":")[0] + ":" for record in caplog.records
    ]


def test_an_interrupt_while_it_is_cleaned(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """What a signal's handler raises in the midst of it goes on, and carries no frame of the library."""

    class Interrupting(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            raise KeyboardInterrupt

    caplog.set_level(logging.DEBUG, "lambdasecrets")
    monkeypatch.setattr(logging.getLogger("lambdasecrets"), "handlers", [Interrupting()])
    inner = raise_inside(ValueError())
    with pytest.raises(KeyboardInterrupt) as caught:
        clean_error(inner)
    assert {entry.name for entry in caught.traceback if str(entry.path) == _invocation.__file__} <= {"clean_error"}
