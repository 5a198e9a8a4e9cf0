"""A stand-in for the server on localhost: the extension, or the agent, over any store."""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lambdasecrets.dev._emulator.aws_api import MADE_UP_KEY, AwsApi, Call, read_call
from lambdasecrets.dev._emulator.http_server import Answer, Connection, Request, Server
from lambdasecrets.dev._emulator.profiles import PROFILES, ServerState, log, one_line
from lambdasecrets.dev.fault_rules import make_fault
from lambdasecrets.dev.faults import Fault, Refuse
from lambdasecrets.dev.stores import CachedStore, SecretsFile, SecretsFileError, Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["HEALTH_PATH", "Emulator", "RequestRecord"]

_logger = logging.getLogger("lambdasecrets.emulator")
HEALTH_PATH = "/_lambdasecrets/health"
"""Answered without a token, past faults, and without a record: for what waits for the server, or watches it."""

_JOURNAL_RECORDS = 10_000
_KEPT_CHARACTERS = 2048  # of a target: a full ARN, percent-encoded, and all that can stand beside it
_KEPT_CHARACTERS_WITHOUT_TOKEN = 256  # who has no token must not fill the memory
_EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to find it from here
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request that the emulator received. It holds names, never a token or a value.

    Attributes:
        method: such as `GET`.
        target: the path and the query as they were received, still percent-encoded; of a very long one the beginning,
            with `...` for the rest.
        path: the target without its query.
        status: the status of the answer; None when a fault sends none.
        milliseconds: from the request to the decision on its answer, without what a fault makes it wait then.
        token_ok: whether the request brought the right token.
        connection: the number of its connection, from 1: equal numbers mean a connection that was kept alive.
        api: what was asked of AWS's own API, such as `secretsmanager:GetSecretValue`; None for a request to the
            extension or the agent.
        name: the secret, parameter or role that was asked of AWS's own API; None where it names none.
    """

    method: str
    target: str
    path: str
    status: int | None
    milliseconds: float
    token_ok: bool
    connection: int
    api: str | None = None
    name: str | None = None


class Emulator:
    """Speak for the extension, or the agent, on a local port, in threads of this process.

    On the same port it speaks for AWS itself: GetSecretValue, GetParameter and AssumeRole, past its own cache, so that
    what a test asks of AWS reaches no account.

    Args:
        store: where the values come from.
        profile: `extension` for the AWS Parameters and Secrets Lambda Extension, `agent` for the AWS Secrets
            Manager Agent.
        host: the address to listen on.
        port: the port; 0 for any free one.
        token: what requests have to bring; a random one by default.
        ready: False refuses with "not ready" until `open_gate`, as the extension does before the first invocation.
        secrets_ttl: seconds for which secrets are cached; 0 turns it off. More than the profile's limit (300 for
            the extension, 3600 for the agent) is the limit, with a WARN line in the log.
        parameters_ttl: the same for parameters.
        cache_size: entries in the cache at most; 0 turns it off.
        max_connections: calls into the store at the same time, for secrets and for parameters each.
        max_connection_age: seconds after which a connection is dropped, used or not. By default 61 for the agent
            and no limit for the extension.

    Attributes:
        token: what requests have to bring. Set it to have the token rotated.
    """

    def __init__(
        self,
        store: Store,
        *,
        profile: Literal["extension", "agent"] = "extension",
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        ready: bool = True,
        secrets_ttl: float = 0.0,
        parameters_ttl: float = 0.0,
        cache_size: int = 1000,
        max_connections: int = 3,
        max_connection_age: float | None = None,
    ) -> None:
        self._profile_name = profile
        self._profile = PROFILES[profile]()
        self._store = CachedStore(
            store,
            secrets_ttl=self._clamp(secrets_ttl),
            parameters_ttl=self._clamp(parameters_ttl),
            size=cache_size,
            max_connections=max_connections,
            stale_on_error=self._profile.serves_stale,
            describes=self._profile.describes,
        )
        self._aws = AwsApi(store)
        self.token: str = token or secrets.token_urlsafe(_TOKEN_BYTES)
        self._host = host
        self._wanted_port = port
        self._is_ready = ready
        self._max_age = self._profile.max_age_seconds if max_connection_age is None else max_connection_age
        self._server: Server | None = None
        self._reopening: threading.Timer | None = None
        self._lock = threading.Lock()
        self._armed: list[_ArmedFault] = []
        self._journal: deque[RequestRecord] = deque(maxlen=_JOURNAL_RECORDS)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Listen. When this returns, requests are answered.

        Raises:
            OSError: the port is taken.
            RuntimeError: it was started before.
        """
        if self._server is not None:
            raise RuntimeError("Cannot start an emulator twice: make another one.")
        profile = self._profile
        self._server = Server(
            self._host, self._wanted_port, self._serve, delays=profile.delays_writes, refuse=profile.refuse
        )
        self._server.listen()
        log(self._profile.prefix, logging.INFO, f"Serving on port {self.port}")
        return self

    def stop(self) -> None:
        """End every connection and free the port, within a few seconds. A second time does nothing."""
        self._stay_refusing()
        if self._server is not None:
            self._server.close()

    @property
    def port(self) -> int:
        """The port it listens on, or listened on before it was stopped."""
        return self._require_server().port

    @property
    def url(self) -> str:
        """Its base URL as seen from this machine, without a slash at the end."""
        host = _EVERYWHERE.get(self._host, self._host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def environment(self) -> dict[str, str]:
        """Return the variables that a handler needs to find it and to be let in, and by which AWS is this stand-in.

        boto3's clients of Secrets Manager, Parameter Store and STS come here too; those of other services go where
        they went before, with keys that no account knows.
        """
        return {
            "AWS_ACCESS_KEY_ID": MADE_UP_KEY,
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.url,
            "AWS_ENDPOINT_URL_SSM": self.url,
            "AWS_ENDPOINT_URL_STS": self.url,
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
            "AWS_SECRET_ACCESS_KEY": MADE_UP_KEY,
            "AWS_SESSION_TOKEN": self.token,
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(self.port),
        }

    def open_gate(self) -> None:
        """Serve from now on: the first invocation has begun."""
        self._is_ready = True
        log(self._profile.prefix, logging.INFO, "ready to serve traffic")

    @property
    def requests(self) -> list[RequestRecord]:
        """The latest requests, up to 10,000, the oldest first; a copy. A request is in it before its answer is sent."""
        with self._lock:
            return list(self._journal)

    def clear_requests(self) -> None:
        """Forget the requests so far."""
        with self._lock:
            self._journal.clear()

    def inject(self, fault: Fault | Refuse, *, times: int | None = 1, match: str = "") -> None:
        """Let something go wrong with the next requests. Of several faults the first injected is played first.

        Args:
            fault: one of `lambdasecrets.dev.faults`.
            times: for how many requests; None until `clear_faults`.
            match: only for requests with this text in their target, as it was received. Calls of AWS's own API are
                meant where it names the API, with or without what is asked for: `secretsmanager:GetSecretValue`,
                `ssm:GetParameter /orders/size`.

        Raises:
            ValueError: times is less than 1, or `Refuse` has a match: a closed port sees no target.
        """
        if times is not None and times < 1:
            raise ValueError("Cannot inject a fault for less than 1 time.")
        if isinstance(fault, Refuse):
            if match:
                raise ValueError("Cannot match a target with Refuse: a closed port sees none.")
            self._refuse(None if times is None else fault.seconds * times)
            return
        with self._lock:
            self._armed.append(_ArmedFault(fault, times, match))

    def inject_faults_of(self, file: SecretsFile) -> None:
        """Let go wrong what a secrets file wants.

        Raises:
            SecretsFileError: a fault that there is not, or a setting that it does not have or take.
        """
        for number, settings in enumerate(file.faults):
            try:
                rule = make_fault(settings)
                self.inject(rule.fault, times=rule.times, match=rule.match)
            except ValueError as error:
                raise SecretsFileError(file.path or Path(), f"[[faults]] {number}", str(error)) from None

    def clear_cache(self) -> None:
        """Forget what is cached: what the store says from now on is served."""
        self._store.clear()

    def clear_faults(self) -> None:
        """Forget the faults that were not played, and accept connections again if they were refused."""
        with self._lock:
            self._armed.clear()
        self._stay_refusing()
        if self._server is not None:
            self._server.listen()

    def _refuse(self, seconds: float | None) -> None:
        server = self._require_server()
        self._stay_refusing()
        server.refuse()
        if seconds is not None:
            self._reopening = threading.Timer(seconds, server.listen)
            self._reopening.daemon = True
            self._reopening.start()

    def _stay_refusing(self) -> None:
        if self._reopening is not None:
            self._reopening.cancel()

    def _require_server(self) -> Server:
        if self._server is None:
            raise RuntimeError("The emulator has no port yet: use `with` or call start().")
        return self._server

    def _clamp(self, ttl: float) -> float:
        limit = self._profile.max_ttl_seconds
        if ttl > limit:
            log(self._profile.prefix, logging.WARNING, f"TTL {ttl:g} is more than {limit:g} seconds, using {limit:g}")
        return min(ttl, limit)

    def _serve(self, connection: Connection) -> None:
        is_reused = False
        while connection.is_open:
            request = connection.read_request(self._max_age)
            if request is None:
                return
            if request.path == HEALTH_PATH:
                connection.send(self._health().encode(request))
                if request.is_last:
                    return
                continue
            answer = partial(self._answer, connection)
            exchange = _Exchange(connection, request, answer, self._note, is_reused=is_reused)
            fault = self._due_fault(exchange)
            if fault is None:
                exchange.send(exchange.answer())
            else:
                fault.play(exchange)
            if request.is_last:
                return
            is_reused = True

    def _health(self) -> Answer:
        body = {"status": "healthy", "profile": self._profile_name, "ready": self._is_ready}
        return Answer(200, json.dumps(body).encode(), "application/json")

    def _due_fault(self, exchange: _Exchange) -> Fault | None:
        with self._lock:
            for armed in self._armed:
                if exchange.is_meant_by(armed.match) and armed.fault.applies(exchange):
                    break
            else:
                return None
            if armed.times is not None:
                armed.times -= 1
            if armed.times == 0:
                self._armed.remove(armed)
            return armed.fault

    def _answer(self, connection: Connection, request: Request, call: Call | None) -> Answer:
        if call is not None:
            return self._aws.answer(call, request, self.token)
        state = ServerState(self.token, self._is_ready, connection.crowd)
        return self._profile.answer(request, self._store, state)

    def _note(self, exchange: _Exchange, status: int | None) -> None:
        request, call = exchange.request, exchange.call
        is_let_in = self._is_let_in(exchange)
        kept = _KEPT_CHARACTERS if is_let_in else _KEPT_CHARACTERS_WITHOUT_TOKEN
        target = _beginning(request.target, kept)
        record = RequestRecord(
            method=_beginning(request.method, _KEPT_CHARACTERS_WITHOUT_TOKEN),
            target=target,
            path=target.partition("?")[0],
            status=status,
            milliseconds=exchange.milliseconds(),
            token_ok=is_let_in,
            connection=exchange.connection_number,
            api=None if call is None else call.api,
            name=None if call is None or call.name is None else _beginning(call.name, kept),
        )
        with self._lock:
            self._journal.append(record)
        asked = f"{record.method} {_beginning(exchange.asked_for, kept)}"
        shown = "no answer" if status is None else status
        _logger.debug("%s: %s", one_line(asked), shown, extra={"lambdasecrets_request": record})

    def _is_let_in(self, exchange: _Exchange) -> bool:
        request = exchange.request
        if exchange.call is not None:
            return self._aws.is_let_in(request, self.token)
        return self._profile.has_token(request, self.token)


def _beginning(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[:characters]}..."


@dataclass(slots=True)
class _ArmedFault:
    """A fault that waits for requests."""

    fault: Fault
    times: int | None
    match: str


class _Exchange:
    """A request, its connection, and what became of it: the `Exchange` of the faults."""

    def __init__(
        self,
        connection: Connection,
        request: Request,
        answer: Callable[[Request, Call | None], Answer],
        note: Callable[[_Exchange, int | None], None],
        *,
        is_reused: bool,
    ) -> None:
        self.request = request
        self.call = read_call(request)
        self.is_reused = is_reused
        self.connection_number = connection.number
        self._answer = answer
        self._note = note
        self._received = time.perf_counter()
        self._has_begun = False
        self.wait = connection.wait
        self.send_bytes = connection.send
        self.close = connection.close
        self.reset = connection.reset

    def answer(self) -> Answer:
        return self._answer(self.request, self.call)

    def is_meant_by(self, match: str) -> bool:
        # What goes wrong on localhost does not go wrong at AWS: a fault there has to be asked for.
        return match in self.asked_for and (self.call is None or self.call.api in match)

    @property
    def asked_for(self) -> str:
        return self.request.target if self.call is None else f"{self.call.api} {self.call.name or ''}".rstrip()

    def send(self, answer: Answer) -> None:
        self.begin(answer.status)
        self.send_bytes(answer.encode(self.request))

    def begin(self, status: int | None) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._note(self, status)

    def milliseconds(self) -> float:
        return (time.perf_counter() - self._received) * 1000
