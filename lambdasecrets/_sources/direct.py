"""Values from AWS itself, past every cache: one call at a time for each value, in threads of our own.

A call that is under way, and for a second its answer, is everybody's: a pool with ten refused logins asks once. What
is not shared is an end that says nothing of the value: a transient error, and the end of the time of who asked first.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from contextvars import copy_context
from hashlib import blake2b
from importlib.util import find_spec
from typing import TYPE_CHECKING

from lambdasecrets._clock import Moment
from lambdasecrets._sources import boto, refusals
from lambdasecrets._sources.forms import Match, RawValue
from lambdasecrets._sources.log_filter import LogFilter
from lambdasecrets.errors import (
    AnswerError,
    AwsUnavailableError,
    CredentialsRejectedError,
    DeadlineExceededError,
    ProtocolError,
    ServerError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lambdasecrets._clock import Deadline
    from lambdasecrets._sources.boto import Caller, Outcome
    from lambdasecrets._sources.forms import Form
    from lambdasecrets._sources.request import Fetched, Request
    from lambdasecrets.errors import ResolutionError

SHARED_SECONDS = 1.0
"""How long an answer is given to whoever else asks for the same."""
MOST_THREADS = 32
"""More calls at the same time wait for a thread."""
_THREADS_FOR_A_BATCH = 4
_ATTEMPTS = 3
_FIRST_WAIT_SECONDS = 0.1
_SHORTEST_ATTEMPT_SECONDS = 0.05
_OK = 200
_KEY_BYTES = 16

_Key = tuple[object, ...]


def is_installed() -> bool:
    """Tell whether boto3 is there, as it is in Lambda's own Python runtimes."""
    try:
        return find_spec("boto3") is not None
    except ValueError:  # a test has put a module of its own in its place
        return True


def fetch(requests: Sequence[Request], deadline: Deadline) -> dict[str, Fetched]:
    """Ask AWS itself.

    Args:
        requests: what to ask for.
        deadline: when to be done. Waiting for a thread, and loading boto3, are inside it.

    Returns:
        For each path its value or its error.
    """
    try:
        reads = _shared_calls.fetch({request.path: request.form for request in requests}, deadline)
    except BaseException:  # an interrupt, which may have left a lock locked
        forget()
        raise
    return {request.path: _read_outcome(request, reads[request.path], deadline) for request in requests}


def forget() -> None:
    """Forget the answers of the last second, and the credentials of roles."""
    global _shared_calls  # noqa: PLW0603 - one for the process
    _shared_calls = _SharedCalls()


class _Call:
    """One value that AWS is asked for, by one thread for all that want it.

    Args:
        key: what is asked for, and with what.
        form: the same, for who asks.
        deadline: of who asked first.
        batch: the batch of who asked first.

    Attributes:
        outcome: what came of it; None until then.
        attempts: how often AWS was asked.
        seconds: over how long.
        is_given_up: whether who asked first has no time left.
    """

    __slots__ = (
        "_answered_at",
        "_context",
        "attempts",
        "batch",
        "deadline",
        "form",
        "is_given_up",
        "key",
        "outcome",
        "seconds",
    )

    def __init__(self, key: _Key, form: Form, deadline: Deadline, batch: _BatchCaller) -> None:
        self.key, self.form, self.deadline, self.batch = key, form, deadline, batch
        self._context = copy_context()
        self._answered_at: Moment | None = None
        self.outcome: Outcome | None = None
        self.attempts, self.seconds, self.is_given_up = 0, 0.0, False

    def perform(self) -> Outcome:
        """Ask AWS, in the context of who asked first. Raises nothing."""
        return self._context.run(self._ask) if self.is_wanted() else boto.Unasked("nobody waits", for_credentials=False)

    def settle(self, outcome: Outcome) -> None:
        """Take down what came of it."""
        self.outcome, self._answered_at = outcome, _now()

    def is_wanted(self) -> bool:
        """Tell whether who asked first may still wait for it."""
        return not self.is_given_up and self.deadline.left() > 0.0

    def is_definite(self) -> bool:
        """Tell whether what came of it is true for everybody."""
        return self.outcome is not None and _is_definite(self.outcome)

    def is_recent(self) -> bool:
        """Tell whether what came of it is still given to who asks now."""
        return self._answered_at is not None and 0.0 <= _now().since(self._answered_at) <= SHARED_SECONDS

    def _ask(self) -> Outcome:
        began = time.monotonic()
        while True:
            outcome = self.batch.ask(self.form)
            self.attempts += 1
            self.seconds = time.monotonic() - began
            wait = _draw_wait(self.attempts)
            is_last = self.attempts >= _ATTEMPTS or self.deadline.left() < wait + _SHORTEST_ATTEMPT_SECONDS
            if is_last or not _is_transient(outcome):
                return outcome
            time.sleep(wait)


class _PendingRead:
    """What one caller waits for: a call of its own, or another's.

    Args:
        path: by which the caller knows it.
        key: what it is, and with what it is asked for.
        form: how it is asked for.
    """

    __slots__ = ("call", "form", "is_own", "key", "path")

    def __init__(self, path: str, key: _Key, form: Form) -> None:
        self.path, self.key, self.form = path, key, form
        self.call: _Call | None = None
        self.is_own = False

    def find_outcome(self) -> Outcome | None:
        """Give the outcome for this caller; None where there is none, or one that is for another caller only."""
        call = self.call
        return call.outcome if call is not None and (self.is_own or call.is_definite()) else None

    def needs_call(self) -> bool:
        """Tell whether there is no call, or one that ended without an outcome for this caller."""
        if self.call is None:
            return True
        has_ended = self.call.outcome is not None or not self.call.is_wanted()
        return has_ended and not self.is_own and not self.call.is_definite()

    def give_up(self) -> None:
        """Leave: who else waits for a call of this caller's has to ask anew, unless it has ended."""
        if self.call is not None and self.is_own:
            self.call.is_given_up = True


class _BatchCaller:
    """The calls of one batch, which share what boto3 found when the first of them was made.

    Args:
        caller: asks AWS.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._lock = threading.Lock()
        self._open = 0

    def enter(self) -> None:
        """Count a call in."""
        with self._lock:
            self._open += 1

    def leave(self) -> None:
        """Count a call out; close the connections after the last."""
        with self._lock:
            self._open -= 1
            is_over = not self._open
        if is_over:
            self._caller.close()

    def find_endpoint(self, form: Form) -> str | None:
        """Give the endpoint that was asked last for a value. None: it was not asked yet."""
        return self._caller.find_endpoint(form)

    def ask(self, form: Form) -> Outcome:
        """Ask AWS once. Raises nothing: a thread that dies of an error leaves others waiting."""
        try:
            outcome = self._caller.ask(form)
            return boto.Mistaken() if _is_of_another(form, outcome) else outcome
        except BaseException as error:  # noqa: BLE001 - to load boto3 can raise anything
            return boto.Unasked(boto.name_error(error), for_credentials=False)


class _SharedCalls:
    """Where calls are handed in, shared, and taken by threads."""

    def __init__(self) -> None:
        self._roles, self._log_filter = boto.Roles(), LogFilter()
        self._process_key = os.urandom(_KEY_BYTES)
        self._changed = threading.Condition()
        self._calls: dict[_Key, _Call] = {}
        self._queue: deque[_Call] = deque()
        self._threads: set[threading.Thread] = set()
        self._idle = 0

    def fetch(self, forms: Mapping[str, Form], deadline: Deadline) -> dict[str, _PendingRead]:
        """Give what became of each read, by path, once all are settled or the deadline passes."""
        where = self._fingerprint_environment()
        reads = [_PendingRead(path, (where, *form.list_identity()), form) for path, form in forms.items()]
        caller = boto.Caller(deadline.left(), self._roles, boto.find_stand_in(), self._log_filter.cover)
        batch = _BatchCaller(caller)
        with self._changed:
            while deadline.left():
                made = [self._join_or_add(read, deadline, batch) for read in reads if read.needs_call()]
                self._start_threads(has_more=any(made))
                if not self._wait([read for read in reads if read.find_outcome() is None], deadline):
                    break
            for read in reads:
                read.give_up()
        return {read.path: read for read in reads}

    def _fingerprint_environment(self) -> bytes:
        """Tell apart where, and as whom, AWS is asked, without keeping credentials."""
        variables = [(name, os.environ.get(name)) for name in sorted(os.environ) if name.startswith("AWS_")]
        return blake2b(repr(variables).encode("utf-8", "surrogatepass"), key=self._process_key).digest()

    def _join_or_add(self, read: _PendingRead, deadline: Deadline, batch: _BatchCaller) -> bool:
        """Take the call that there is for a read, or make one. True for a new one."""
        call = self._calls.get(read.key)
        if call is not None and (call.is_wanted() if call.outcome is None else call.is_definite() and call.is_recent()):
            read.call, read.is_own = call, False
            return False
        made = _Call(read.key, read.form, deadline, batch)
        batch.enter()
        # Where an interrupt comes in between, nobody waits for a call that no thread takes.
        self._queue.append(made)
        self._calls[read.key] = made
        read.call, read.is_own = made, True
        return True

    def _wait(self, reads: Sequence[_PendingRead], deadline: Deadline) -> bool:
        """Wait for a change. False where there is nothing to wait for, or no time."""
        if not reads:
            return False
        others = [read.call for read in reads if read.call is not None and not read.is_own]
        left = deadline.left()
        shortest = min((call.deadline.left() for call in others), default=left)
        if self._changed.wait(min(left, shortest)):
            return True
        # By the time that passed, not by a clock: in tests that one can stand still.
        for call in others:
            call.is_given_up = call.is_given_up or call.deadline.left() <= shortest
        return shortest < left

    # --- Threads ----------------------------------------------------------------------------------------------------

    def _start_threads(self, *, has_more: bool) -> None:
        """Have threads for what waits: some for what was handed in, and one at the least."""
        self._changed.notify(len(self._queue))
        # Counted, not kept count of: an interrupt between two lines would leave a wrong number for ever.
        self._threads = {thread for thread in self._threads if thread.is_alive()}
        most = _THREADS_FOR_A_BATCH if has_more else 1 - len(self._threads)
        missing = min(len(self._queue) - self._idle, most)
        for _ in range(min(missing, MOST_THREADS - len(self._threads))):
            thread = threading.Thread(target=self._work, name="lambdasecrets-aws", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system has no thread left
                break
            self._threads.add(thread)
        if not self._threads:
            while self._queue:
                self._queue.popleft().settle(boto.Unasked("no thread could be started", for_credentials=False))

    def _work(self) -> None:
        performed: list[_Call] = []
        while (call := self._take(performed)) is not None:
            with self._log_filter.drop_records():
                outcome = call.perform()
                with self._changed:
                    call.settle(outcome)
                    self._changed.notify_all()
                call.batch.leave()
            performed.append(call)
            del outcome, call

    def _take(self, performed: list[_Call]) -> _Call | None:
        """Wait for a call. None where none comes while an answer is shared: then the thread ends, and forgets them."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._queue, SHARED_SECONDS)
            self._idle -= 1
            for call in performed:
                if (not self._queue or not call.is_recent()) and self._calls.get(call.key) is call:
                    del self._calls[call.key]
            if not self._queue:
                return None
            performed[:] = [call for call in performed if call.is_recent()]
            return self._queue.popleft()


_shared_calls = _SharedCalls()

if hasattr(os, "register_at_fork"):  # pragma: no branch - only Windows is without it, and without forks
    os.register_at_fork(after_in_child=forget)


def _draw_wait(attempt: int) -> float:
    chance = int.from_bytes(os.urandom(1), "big") / 255
    return _FIRST_WAIT_SECONDS * 2.0 ** (attempt - 1) * (0.5 + chance)


def _now() -> Moment:
    return Moment(time.monotonic(), time.time())


# --- What an outcome means ------------------------------------------------------------------------------------------


def _is_definite(outcome: Outcome) -> bool:
    """Tell whether an outcome is true for everybody who asks the same."""
    if isinstance(outcome, boto.Refusal):
        return not _is_transient(outcome)
    return isinstance(outcome, (RawValue, boto.Unreadable))


def _is_transient(outcome: Outcome) -> bool:
    """Tell whether the next attempt may have another outcome."""
    if isinstance(outcome, boto.Refusal):
        return refusals.is_transient(outcome.code, outcome.status, outcome.message)
    return isinstance(outcome, (boto.Unreached, boto.Mistaken))


def _is_of_another(form: Form, outcome: Outcome) -> bool:
    """Tell whether an answer is about another value. In how a name is written AWS is right."""
    if not isinstance(outcome, RawValue) or outcome.identity is None:
        return False
    return form.compare(outcome.identity) is Match.OTHER


def _read_outcome(request: Request, read: _PendingRead, deadline: Deadline) -> Fetched:
    call, outcome = read.call, read.find_outcome()
    if call is None or outcome is None:
        endpoint = None if call is None else call.batch.find_endpoint(call.form)
        return DeadlineExceededError(request.subject, deadline.seconds, deadline.bound, server="aws", endpoint=endpoint)
    if isinstance(outcome, RawValue):
        return outcome
    if isinstance(outcome, boto.Refusal):
        return _read_refusal(request, call, outcome, deadline.function_arn)
    if isinstance(outcome, boto.Unreached):
        return AwsUnavailableError(request.subject, outcome.endpoint, outcome.code)
    if isinstance(outcome, boto.Unasked):
        return _read_failure(request, outcome)
    detail = _OF_ANOTHER if isinstance(outcome, boto.Mistaken) else "of AWS has no value that can be read"
    return ProtocolError(request.subject, _OK, detail, _ANOTHER_ENDPOINT)


_OF_ANOTHER = "of AWS is about another secret or parameter, or another version, than was asked for"
_ANOTHER_ENDPOINT = "Does a setting of boto3 (AWS_ENDPOINT_URL, a profile, a proxy) lead to what is not AWS?"


def _read_refusal(request: Request, call: _Call, refusal: boto.Refusal, function_arn: str | None) -> ResolutionError:
    if _is_transient(refusal):
        code = refusals.write_code(refusal.code)
        return ServerError(request.subject, refusal.status, call.attempts, call.seconds, server="aws", code=code)
    message = _ROLE_DENIED if refusal.is_of_role else refusal.message
    return refusals.read_refusal(
        request, refusal.code, refusal.status, message, server="aws", function_arn=function_arn
    )


_ROLE_DENIED = "not authorized to perform: sts:AssumeRole"
"""How AWS says that a role may not be assumed: not every service that speaks for STS does."""


def _read_failure(request: Request, failure: boto.Unasked) -> ResolutionError:
    permissions = request.declaration.permissions()
    if failure.for_credentials:
        return CredentialsRejectedError(
            request.subject,
            failure.code,
            0,
            permissions,
            server="aws",
            reason="boto3 has no credentials for AWS",
            advice="In a function: does something change its AWS_ variables? On your own machine: `aws sso login`, or "
            "what else you log in with; AWS_PROFILE says which profile.",
        )
    return AnswerError(
        request.subject,
        failure.code,
        0,
        permissions,
        server="aws",
        reason="boto3 could not ask AWS",
        advice="Look at what boto3 is configured by: AWS_REGION, AWS_ENDPOINT_URL, a profile.",
    )
