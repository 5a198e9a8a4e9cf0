"""Everything that lambdasecrets raises.

    LambdaSecretsError
    ├── DeclarationError (also a TypeError)    a declaration or a signature is wrong; raised at import
    ├── SettingError (also a ValueError)       an option or an environment variable is wrong
    ├── EventLoopError (also a RuntimeError)   a coroutine that no asyncio event loop runs
    └── ResolutionError                        an invocation did not get a value
        ├── RefreshUnavailableError            nothing here can pass the extension's cache
        ├── SeveralErrors                      more than one declaration failed; `errors` holds each
        ├── MissingVariableError               a name's {PLACEHOLDER} is not in the environment
        ├── InvalidVariableError               what fills a {PLACEHOLDER} makes no name that AWS could have
        ├── NoTokenError                       there is no session token: this is not a Lambda
        ├── CredentialsUnavailableError        the endpoint that has the session token did not give it
        ├── ExtensionUnavailableError          nothing listens on the extension's port
        ├── ExtensionNotReadyError             the extension serves no traffic yet
        ├── TokenRejectedError                 the server does not accept the session token
        ├── DeadlineExceededError              no answer in the time there was
        ├── ServerError                        overloaded, failing, or gone in the middle of an answer
        ├── AwsUnavailableError                AWS was asked directly, and its endpoint did not answer
        ├── ProtocolError                      the answer is not what the server's contract says
        ├── TooManyOpenFilesError              this process has no file descriptor left for a connection
        ├── UnsupportedByAgentError            a Parameter was asked of the Secrets Manager Agent
        ├── UnsupportedByExtensionError        a role was declared in front of the extension
        ├── AnswerError                        AWS refused, and it is known why
        │   ├── NotFoundError                  it does not exist
        │   │   └── MarkedForDeletionError     it is marked for deletion
        │   ├── AccessDeniedError              the role may not read it
        │   ├── DecryptionError                its KMS key cannot be used
        │   └── CredentialsRejectedError       AWS does not accept the credentials
        ├── UnresolvedError                    AWS refused, and the extension does not say why
        └── InvalidValueError                  the value does not fit the declared type

No error holds a value that came from AWS, nor the token: not in its text, its attributes, its cause or its context.
"""

from __future__ import annotations

from copy import copy
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = [
    "AccessDeniedError",
    "AnswerError",
    "AwsUnavailableError",
    "CredentialsRejectedError",
    "CredentialsUnavailableError",
    "DeadlineExceededError",
    "DeclarationError",
    "DecryptionError",
    "EventLoopError",
    "ExtensionNotReadyError",
    "ExtensionUnavailableError",
    "InvalidValueError",
    "InvalidVariableError",
    "LambdaSecretsError",
    "MarkedForDeletionError",
    "MissingVariableError",
    "NoTokenError",
    "NotFoundError",
    "Permission",
    "Problem",
    "Progress",
    "ProtocolError",
    "RefreshUnavailableError",
    "ResolutionError",
    "ServerError",
    "SettingError",
    "SeveralErrors",
    "Subject",
    "TokenRejectedError",
    "TooManyOpenFilesError",
    "UnresolvedError",
    "UnsupportedByAgentError",
    "UnsupportedByExtensionError",
]

LOG_PREFIX = "[AWS Parameters and Secrets Lambda Extension]"
"""How the extension begins every line that it writes to the function's log."""

Server = Literal["extension", "agent", "aws"]
"""Who answered: the extension, the Secrets Manager Agent, or AWS itself."""

_SERVERS = {"extension": "the extension", "agent": "the AWS Secrets Manager Agent", "aws": "AWS"}
_SHORT_SECONDS = 1.0
"""Less time than this can be too little for one call to AWS."""

_LAYER = (
    "Is the layer AWS-Parameters-and-Secrets-Lambda-Extension attached to this function (a container image: is its "
    "content in /opt)? Is PARAMETERS_SECRETS_EXTENSION_HTTP_PORT the same for both?"
)
_EXTENSION_LOG = f'Look in the function\'s log for lines that begin "{LOG_PREFIX}".'
_AGENT_LOG = (
    "Look in the agent's own log: in the folder logs/ where it was started, or its standard output if log_to_file is "
    "false."
)
_STALE = "`stale_if_error` lets a handler go on with the last good value."
_FROM_VARIABLES = (
    "The agent was started with the first of AWS_TOKEN, AWS_SESSION_TOKEN and AWS_CONTAINER_AUTHORIZATION_TOKEN that "
    "was set for it (file:// and a path: what that file held then)."
)
_BESIDE_AGENT = (
    "Beside the Secrets Manager Agent (ECS, EKS, EC2): set AWS_TOKEN to its token, or to file:// and its path."
)
_NOT_A_LAMBDA = "this is not a Lambda execution environment"


def _begin(sentence: str) -> str:
    return f"{sentence[0].upper()}{sentence[1:]}"


def _continue(sentence: str) -> str:
    return f"{sentence[0].lower()}{sentence[1:]}"


class Subject(NamedTuple):
    """What an error is about: which parameters of which handler, and what they declare.

    Attributes:
        owner: the handler, as `module.qualname`, or `resolve()`.
        parameters: the parameters that asked for it; a field of a config model as `config.database`.
        declarations: the declarations as they would be written, their placeholders filled in.
        parts: the subjects that this one was put together from; empty where it is about one declaration.
    """

    owner: str
    parameters: tuple[str, ...]
    declarations: tuple[str, ...]
    parts: tuple[Subject, ...] = ()

    def __str__(self) -> str:
        """Name the parameters, the handler and the declarations in one phrase; of several, their number."""
        count = len({name for part in self.parts for name in part.parameters or (part.line,)})
        if count > 1:
            return f"{count} values {self._preposition} {self.owner}"
        declared = " and ".join(self.declarations)
        names = " and ".join(repr(name) for name in self.parameters)
        return f"{names} of {self.owner}, {declared}" if names else f"{declared} for {self.owner}"

    @property
    def is_resolve(self) -> bool:
        """Whether `resolve` asked, not a decorated handler."""
        return self.owner == "resolve()"

    @property
    def _preposition(self) -> str:
        return "for" if self.is_resolve else "of"

    def join(self, other: Subject) -> Subject:
        """Put two subjects of one handler together."""
        parameters = dict.fromkeys(self.parameters + other.parameters)
        declarations = dict.fromkeys(self.declarations + other.declarations)
        parts = (self.parts or (self,)) + (other.parts or (other,))
        return Subject(self.owner, tuple(parameters), tuple(declarations), parts)

    def list_parts(self) -> str:
        """Give a line for each of several parts; nothing where there is one."""
        lines = dict.fromkeys(part.line for part in self.parts)
        return "\n  - ".join(("\nNot resolved:", *lines)) if len(lines) > 1 else ""

    @property
    def line(self) -> str:
        """The parameters and the declarations, without the handler."""
        names = " and ".join(repr(name) for name in self.parameters)
        declared = " and ".join(self.declarations)
        return f"{names}, {declared}" if names else declared


class Permission(NamedTuple):
    """One IAM statement that a declaration needs.

    Attributes:
        action: such as `secretsmanager:GetSecretValue`.
        resource: an ARN, with wildcards for what a name does not tell.
        condition: as IAM writes it, `{operator: {key: value}}`; None for none.
        role: the ARN of the role whose policy needs it; None for the function's own.
    """

    action: str
    resource: str
    condition: Mapping[str, Mapping[str, str]] | None = None
    role: str | None = None

    def __hash__(self) -> int:
        """Follow `__eq__`, without the condition: a mapping has no hash."""
        return hash((self.action, self.resource, self.role))

    def __str__(self) -> str:
        """Read as "action on resource", and whose policy needs it where it is not the function's own role."""
        return f"{self.action} on {self.resource}{f' (in the policy of {self.role})' if self.role else ''}"


def write_permissions(permissions: Iterable[Permission]) -> str:
    """Write permissions in one phrase: actions on the same resource together, resources of the same actions together.

    Args:
        permissions: each once or more often.
    """
    actions: dict[tuple[str, str | None], list[str]] = {}
    for item in permissions:
        of_resource = actions.setdefault((item.resource, item.role), [])
        of_resource += [] if item.action in of_resource else [item.action]
    resources: dict[tuple[str, str | None], list[str]] = {}
    for (resource, role), names in actions.items():
        resources.setdefault((" and ".join(names), role), []).append(resource)
    return "; ".join(_write_statement(names, listed, role) for (names, role), listed in resources.items())


def _write_statement(actions: str, resources: Sequence[str], role: str | None) -> str:
    return f"{actions} on {', '.join(resources)}{f' (in the policy of {role})' if role else ''}"


class Progress:
    """What became of the values of one service that were asked for at once.

    Args:
        service: `Secrets Manager` or `Parameter Store`.
        asked: how many.
        came: how many of them came.
        at_once: how many the server asks AWS for at the same time; None where that has no limit.
        other: the other service, where it answered in the same call; else None.
    """

    # Written out: a named tuple would take as long to import as ten classes of errors.
    __slots__ = ("asked", "at_once", "came", "other", "service")

    def __init__(
        self, service: str, asked: int, came: int, at_once: int | None = None, other: str | None = None
    ) -> None:
        self.service: str = service
        self.asked: int = asked
        self.came: int = came
        self.at_once: int | None = at_once
        self.other: str | None = other

    def __eq__(self, other: object) -> bool:
        """Compare all that is known."""
        return isinstance(other, Progress) and repr(other) == repr(self)

    def __hash__(self) -> int:
        """Follow `__eq__`."""
        return hash(repr(self))

    def __repr__(self) -> str:
        """Give it as it is made."""
        return f"Progress({self.service!r}, {self.asked}, {self.came}, {self.at_once}, {self.other!r})"


class Problem(NamedTuple):
    """One thing that does not fit.

    Attributes:
        location: the way to it, as declared: field names and list indexes. A part that the declared type does
            not name, such as the key of a dict, comes from the value and reads `*`.
        type: pydantic's error type, such as `missing` or `int_parsing`, or one of this library's.
        detail: what was seen, in words, such as "a number where a text is declared"; empty where the type says it all.
    """

    location: tuple[str | int, ...]
    type: str
    detail: str = ""

    def __str__(self) -> str:
        """Read as "location: type"."""
        return f"{'.'.join(map(str, self.location))}: {self.type}" if self.location else self.type

    @property
    def words(self) -> str:
        """What the type means, and what was seen, in words."""
        from lambdasecrets._words import describe  # noqa: PLC0415 - needed only where a value does not fit

        return self.detail or describe(self.location, self.type)


def _restore(kind: type[LambdaSecretsError], args: tuple[object, ...], state: dict[str, object]) -> LambdaSecretsError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class LambdaSecretsError(Exception):
    """The root of everything that this library raises."""

    def __reduce__(self) -> tuple[Callable[..., LambdaSecretsError], tuple[object, ...]]:
        """Pickle and copy by attributes: the constructors take other arguments than the message in `args`."""
        return _restore, (type(self), self.args, self.__dict__)


class DeclarationError(LambdaSecretsError, TypeError):
    """A declaration, or the signature it stands in, is wrong. Raised at import.

    Attributes:
        where: what is wrong: a declaration, or a parameter of a handler.
        why: what is wrong with it.
        remedy: what to write instead.
    """

    where: str
    why: str
    remedy: str

    def __init__(self, where: str, why: str, remedy: str) -> None:
        self.where, self.why, self.remedy = where, why, remedy
        super().__init__(f"Cannot use {where}: {why}. {remedy}")


class SettingError(LambdaSecretsError, ValueError):
    """An option of `inject_secrets` or `resolve`, or an environment variable, has a value that cannot be used.

    Attributes:
        name: the option or the variable.
        expected: what it takes.
    """

    name: str
    expected: str

    def __init__(self, name: str, expected: str) -> None:
        self.name, self.expected = name, expected
        # The value stays out: variables get mixed up, and the wrong one may hold a secret.
        super().__init__(f"Cannot use {name} as it is set: it takes {expected}. Correct it or leave it out.")


class EventLoopError(LambdaSecretsError, RuntimeError):
    """A coroutine of this library is awaited where no asyncio event loop runs, as under trio."""

    def __init__(self) -> None:
        super().__init__(
            "Cannot resolve in this coroutine: no asyncio event loop runs it. Run it with asyncio (uvloop is one too), "
            "or call `resolve` in a thread of your framework's."
        )


class ResolutionError(LambdaSecretsError):
    """An invocation did not get a value that its handler declares.

    Attributes:
        subject: which parameters of which handler, and their declarations.
        why: what happened.
        remedy: what to do.
    """

    subject: Subject
    why: str
    remedy: str

    def __init__(self, subject: Subject, why: str, remedy: str) -> None:
        self.subject, self.why, self.remedy = subject, why, remedy
        super().__init__(f"Cannot resolve {subject}: {why}. {remedy}{subject.list_parts()}")

    def join(self, other: ResolutionError) -> ResolutionError | None:
        """Make one error of two that have the same cause, about both subjects. None where the causes differ.

        Args:
            other: about another declaration of the same handler.
        """
        if not self.has_cause_of(other):
            return None
        both = copy(self)
        both._take(other)  # noqa: SLF001 - of this class
        ResolutionError.__init__(both, self.subject.join(other.subject), both.why, both.remedy)
        return both

    def add_remedy(self, remedy: str) -> ResolutionError:
        """Make the same error with more to do about it."""
        return self.replace_remedy(f"{self.remedy} {remedy}")

    def replace_remedy(self, remedy: str) -> ResolutionError:
        """Make the same error with something else to do about it."""
        other = copy(self)
        ResolutionError.__init__(other, self.subject, self.why, remedy)
        return other

    def has_cause_of(self, other: ResolutionError) -> bool:
        """Tell whether another error is of the same class and has the same cause."""
        return type(other) is type(self) and self._identify_cause() == other._identify_cause()

    def _identify_cause(self) -> tuple[object, ...]:
        """Give what tells the cause apart among errors of this class."""
        return (self.why, self.remedy)

    def _take(self, other: Any) -> None:
        """Take over what another error, of the same class and cause, adds to this one."""


class SeveralErrors(ResolutionError):  # noqa: N818 - it is the plural that tells it apart
    """More than one declaration of a handler failed, for different reasons.

    Attributes:
        errors: each failure, in the order of the declarations.
    """

    errors: tuple[ResolutionError, ...]
    subject: Subject
    why: str
    remedy: str

    def __init__(self, errors: Sequence[ResolutionError]) -> None:
        self.errors = tuple(errors)
        listed = "\n".join(f"{number}. {error}" for number, error in enumerate(self.errors, 1))
        self.subject = reduce(Subject.join, (error.subject for error in self.errors))
        self.why, self.remedy = f"there are {len(self.errors)} causes", f"Each with what to do:\n{listed}"
        # Each of the errors lists its own declarations.
        super(ResolutionError, self).__init__(f"Cannot resolve {self.subject}: {self.why}. {self.remedy}")


def combine(errors: Sequence[ResolutionError]) -> ResolutionError:
    """Make one error of several: where they have the same cause, one that names all of the declarations."""
    groups: list[ResolutionError] = []
    for error in errors:
        joined = ((number, group.join(error)) for number, group in enumerate(groups))
        number, found = next(((number, item) for number, item in joined if item), (len(groups), error))
        groups[number : number + 1] = [found]
    return groups[0] if len(groups) == 1 else SeveralErrors(groups)


class MissingVariableError(ResolutionError):
    """A name has a placeholder, and the environment does not have the variable, or has it empty.

    Attributes:
        variable: the environment variable.
        is_local: whether this is not a Lambda: then that comes first.
    """

    variable: str
    is_local: bool

    def __init__(self, subject: Subject, variable: str, *, is_local: bool = False) -> None:
        self.variable, self.is_local = variable, is_local
        unset = f"the environment variable {variable} is not set, or empty"
        remedy = "Set it in the function's configuration (locally: in the [environment] table of the secrets file)."
        if is_local:
            unset = f"{_NOT_A_LAMBDA}, and {unset}"
            remedy = f"{_advise_locally(subject)} The [environment] table of the secrets file sets {variable} there."
        super().__init__(subject, unset, remedy)


class InvalidVariableError(ResolutionError):
    """What fills a placeholder makes no name that AWS could have, so that nothing was sent.

    Attributes:
        variable: the environment variable, or `context.tenant_id`. Its text is not shown.
    """

    variable: str

    def __init__(self, subject: Subject, variable: str, why: str, remedy: str) -> None:
        self.variable = variable
        super().__init__(subject, why, remedy)


class NoTokenError(ResolutionError):
    """No session token is to be found, so this does not run in a Lambda, or something removed its environment."""

    def __init__(self, subject: Subject) -> None:
        why = f"there is no AWS_SESSION_TOKEN, so {_NOT_A_LAMBDA}"
        super().__init__(subject, why, f"{_advise_locally(subject)} {_BESIDE_AGENT}")


def _advise_locally(subject: Subject) -> str:
    """Say how to run on a machine of one's own what asked."""
    if subject.is_resolve:
        return (
            "On your own machine: `lambdasecrets serve --secrets secrets.toml` prints the variables that lead a "
            "process to a local stand-in; in a test: start `lambdasecrets.dev.emulator.Emulator`."
        )
    return (
        "To run a handler on your own machine: `lambdasecrets invoke app.py:handler --secrets secrets.toml`; in a "
        "test: pass the values as keyword arguments, or start `lambdasecrets.dev.emulator.Emulator`."
    )


class CredentialsUnavailableError(ResolutionError):
    """The endpoint that has the session token (under SnapStart) did not give it. It was asked several times.

    Attributes:
        detail: what the endpoint did, such as `answered 500`.
    """

    detail: str

    def __init__(self, subject: Subject, detail: str) -> None:
        self.detail = detail
        super().__init__(
            subject,
            f"the session token is not to be had: the endpoint of AWS_CONTAINER_CREDENTIALS_FULL_URI {detail}",
            "The endpoint belongs to Lambda (SnapStart), and mostly gives the token a moment later: let the "
            f"invocation be retried. {_STALE} If it lasts, see whether something changes that variable or "
            "AWS_CONTAINER_AUTHORIZATION_TOKEN inside the function.",
        )


class ExtensionUnavailableError(ResolutionError):
    """Nothing accepts connections where the extension should listen, or what does closes them without an answer.

    Attributes:
        port: the port on 127.0.0.1 that was tried.
        seconds: how long.
        was_reset: whether connections were accepted, and closed before an answer.
        has_answered: whether it had answered others in the same call.
        is_local: whether this is not a Lambda.
    """

    port: int
    seconds: float
    was_reset: bool
    has_answered: bool
    is_local: bool

    def __init__(
        self,
        subject: Subject,
        port: int,
        seconds: float,
        *,
        was_reset: bool = False,
        has_answered: bool = False,
        is_local: bool = False,
    ) -> None:
        self.port, self.seconds, self.was_reset = port, seconds, was_reset
        self.has_answered, self.is_local = has_answered, is_local
        before = ", after it had answered others in the same call" if has_answered else ""
        what = "what listens on {} closed each connection before it answered, for {:.1f} s"
        what = what if was_reset else "nothing answered on {} for {:.1f} s"
        super().__init__(subject, f"{what.format(f'127.0.0.1:{port}', seconds)}{before}", self._advise(subject))

    def _identify_cause(self) -> tuple[object, ...]:
        """See `ResolutionError`: how long each was tried does not matter."""
        return (self.port, self.was_reset, self.has_answered)

    def _advise(self, subject: Subject) -> str:
        if self.has_answered:
            return f"Did the server end, for want of memory? {_EXTENSION_LOG}"
        if self.was_reset:
            return f"Does it end as it starts, or is it another server than the extension? {_EXTENSION_LOG}"
        if not self.is_local:
            return _LAYER
        return (
            f"{_begin(_NOT_A_LAMBDA)} (AWS_LAMBDA_FUNCTION_NAME is not set). {_advise_locally(subject)} Beside "
            "the Secrets Manager Agent (ECS, EKS, EC2): does it run, with this http_port? In a Lambda: "
            f"{_LAYER}"
        )


class ExtensionNotReadyError(ResolutionError):
    """The extension runs but serves no traffic: it starts to with the first invocation.

    Attributes:
        seconds: how long it was asked.
    """

    seconds: float

    def __init__(self, subject: Subject, seconds: float) -> None:
        self.seconds = seconds
        at_import = (
            "Was this called while the module was imported? The extension serves during invocations only: resolve "
            "inside the handler."
        )
        in_handler = (
            "It begins to serve when the first invocation reaches it. Give the function more memory, and with it more "
            f"of a CPU to start with. If it lasts: {_continue(_EXTENSION_LOG)}"
        )
        super().__init__(
            subject,
            f'the extension answered "not ready to serve traffic" for {seconds:.1f} s',
            at_import if subject.is_resolve else in_handler,
        )

    def _identify_cause(self) -> tuple[object, ...]:
        """See `ResolutionError`: how long each was asked does not matter."""
        return (self.remedy,)


class TokenRejectedError(ResolutionError):
    """The server does not accept the session token, read a second time.

    Attributes:
        status: the HTTP status, 401 or 403.
        server: whose answer it was: `extension` or `agent`.
        source: the variable that the token is from; AWS_CONTAINER_CREDENTIALS_FULL_URI for that endpoint.
        is_local: whether this is not a Lambda.
    """

    status: int
    server: Server
    source: str
    is_local: bool

    def __init__(
        self,
        subject: Subject,
        status: int,
        *,
        server: Server = "extension",
        source: str = "AWS_SESSION_TOKEN",
        is_local: bool = False,
    ) -> None:
        self.status, self.server, self.source, self.is_local = status, server, source, is_local
        super().__init__(
            subject,
            f"{_SERVERS[server]} answered {status} to the token of {source}, which was read twice",
            self._advise(),
        )

    def _advise(self) -> str:
        if self.server == "agent":
            return f"{_FROM_VARIABLES} Give this process the same, or start the agent again."
        if self.source == "AWS_CONTAINER_CREDENTIALS_FULL_URI":
            return "This is SnapStart: update the extension's layer, older versions reject every token there."
        if self.source != "AWS_SESSION_TOKEN":
            return f"The extension takes the token of AWS_SESSION_TOKEN only: take {self.source} out of the function."
        if self.is_local:
            return (
                "A local stand-in makes a new token each time it starts: set what it prints, or give it one "
                "(`lambdasecrets serve --token`)."
            )
        return "Does something change AWS_SESSION_TOKEN inside the function?"


class DeadlineExceededError(ResolutionError):
    """No answer came in the time there was.

    Attributes:
        seconds: the time there was.
        bound: what set it: `timeout` or `invocation`, the invocation's remaining time less a reserve.
        progress: what became of the others of the same call; None where that is not known.
        server: who was asked, where that is known.
        endpoint: of AWS, where AWS was asked directly: the scheme, the host and the port.
    """

    seconds: float
    bound: str
    progress: Progress | None
    server: Server | None
    endpoint: str | None

    def __init__(
        self,
        subject: Subject,
        seconds: float,
        bound: str,
        *,
        progress: Progress | None = None,
        server: Server | None = None,
        endpoint: str | None = None,
    ) -> None:
        self.seconds, self.bound, self.progress, self.server = seconds, bound, progress, server
        self.endpoint = endpoint
        super().__init__(subject, self._say_why(), self._advise())

    @property
    def _is_over(self) -> bool:
        return self.bound == "invocation" and not self.seconds

    @property
    def _more_time(self) -> str:
        return "the timeout" if self.bound == "timeout" else "the function's timeout"

    def _say_why(self) -> str:
        if self._is_over:
            return "the invocation's time is over (its last 0.1 s is kept for this error), so that nothing was asked"
        limit = "the timeout" if self.bound == "timeout" else "what the invocation had left, less a reserve"
        asked = f" from {self.endpoint}" if self.endpoint else ""
        return f"no answer{asked} within {self.seconds:.2f} s ({limit}){_say_what_came(self.progress)}"

    def _advise(self) -> str:
        if self._is_over:
            return (
                "In Lambda: give the function a longer timeout. In a test: the context's get_remaining_time_in_millis "
                "says so, as that of Powertools' LambdaContext() does; pass None as the context, or one that has time."
            )
        if self.progress is not None and self.progress.came:
            return _advise_slowness(self.progress, self._more_time)
        route = _advise_route(self.progress, self.server)
        if self.seconds >= _SHORT_SECONDS:
            return route
        return f"That is little time for a call to AWS: raise {self._more_time}. If it lasts: {_continue(route)}"


_KINDS = {"Secrets Manager": "secrets", "Parameter Store": "parameters"}


def _say_what_came(progress: Progress | None) -> str:
    if progress is None or not progress.came:
        return ""
    limit = f", at most {progress.at_once} at a time" if progress.at_once and progress.at_once < progress.asked else ""
    return f", in which {progress.came} of {progress.asked} {_KINDS[progress.service]} came{limit}"


def _advise_slowness(progress: Progress, more_time: str) -> str:
    if progress.at_once and progress.at_once < progress.asked:
        return (
            f"AWS answers, but slowly. Raise PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS ({progress.at_once} now) or "
            f"{more_time}, or join {_KINDS[progress.service]} into one (`key=` takes a member of it)."
        )
    return f"AWS answers, but slowly. Raise {more_time}. {_STALE}"


def _advise_route(progress: Progress | None, server: Server | None) -> str:
    """Say what keeps a server from answering, as far as the rest of the call does not say otherwise."""
    if progress is not None and progress.other is not None:
        return (
            f"{progress.other} answered in the same call, {progress.service} did not: in a VPC each of them needs an "
            "interface endpoint of its own, or a route to the internet."
        )
    if server == "agent":
        return (
            "Can the agent reach AWS? In a VPC it needs a route or an interface endpoint for Secrets Manager (with "
            f"roles, for STS too); without it the agent does not answer for a minute. {_AGENT_LOG}"
        )
    reach = "Can the function reach AWS? In a VPC it needs a route or interface endpoints for Secrets Manager and SSM"
    if server == "aws":
        return f"{reach}."
    return (
        f"{reach}; without them the extension waits for ever unless SECRETS_MANAGER_TIMEOUT_MILLIS and "
        "SSM_PARAMETER_STORE_TIMEOUT_MILLIS are set."
    )


class ServerError(ResolutionError):
    """The server is overloaded or failing, or the connection was lost in the middle of an answer, time and again.

    Attributes:
        status: the last HTTP status; None for a lost connection.
        attempts: how often it was asked.
        seconds: over how long.
        server: whose answer it was, where the answer tells.
        code: AWS's error code, where the answer has one.
    """

    status: int | None
    attempts: int
    seconds: float
    server: Server | None
    code: str | None

    def __init__(
        self,
        subject: Subject,
        status: int | None,
        attempts: int,
        seconds: float,
        *,
        server: Server | None = None,
        code: str | None = None,
    ) -> None:
        self.status, self.attempts, self.seconds = status, attempts, seconds
        self.server, self.code = server, code
        super().__init__(
            subject, f"{self._say_what()}; asked {attempts} times in {seconds:.2f} s", f"{self._advise()} {_STALE}"
        )

    def _identify_cause(self) -> tuple[object, ...]:
        """See `ResolutionError`: how often each was asked does not matter."""
        return (self.status, self.server, self.code)

    def _say_what(self) -> str:
        if self.status is None:
            return "the connection was lost in the middle of the answer"
        answered = "the answer was" if self.server is None else f"{_SERVERS[self.server]} answered"
        return f"{answered} {self.status}{f' ({self.code})' if self.code else ''}"

    def _advise(self) -> str:
        if self.code in _THROTTLED:
            return "AWS throttled the calls: let more of them be served from caches, or raise the quota."
        if self.server == "aws":
            return "AWS itself fails: let the invocation be retried."
        if self.server != "agent":
            return _EXTENSION_LOG
        if self.status == _TOO_MANY:
            return "It has as many connections as its max_conn allows: raise that, or let fewer processes use it."
        if self.status in _UNREACHABLE:
            return f"It could not reach AWS. {_AGENT_LOG}"
        return f"Has it valid AWS credentials? {_AGENT_LOG}"


_TOO_MANY = 429
_UNREACHABLE = frozenset({502, 504})
_THROTTLED = frozenset(
    {
        "LimitExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


class AwsUnavailableError(ResolutionError):
    """AWS was asked directly, without the server on this machine, and its endpoint did not answer.

    Attributes:
        endpoint: the scheme, the host and the port that were tried.
        code: the name of boto3's error.
    """

    endpoint: str
    code: str

    def __init__(self, subject: Subject, endpoint: str, code: str) -> None:
        self.endpoint, self.code = endpoint, code
        super().__init__(
            subject,
            f"{endpoint} could not be reached ({code})",
            "In a VPC the function needs a route to it, or an interface endpoint of that service. Does a setting of "
            "boto3 (AWS_ENDPOINT_URL, a profile, a proxy) lead there?",
        )


class ProtocolError(ResolutionError):
    """The answer is not what the contract of the extension, or of the agent, says. Never retried.

    Attributes:
        status: the HTTP status; None where the answer is no HTTP.
        detail: what is wrong with it.
    """

    status: int | None
    detail: str

    def __init__(self, subject: Subject, status: int | None, detail: str, remedy: str | None = None) -> None:
        self.status, self.detail = status, detail
        super().__init__(
            subject, f"the answer{'' if status is None else f' ({status})'} {detail}", remedy or _ANOTHER_SERVER
        )


_ANOTHER_SERVER = (
    "See what listens on this port (PARAMETERS_SECRETS_EXTENSION_HTTP_PORT, by default 2773): it should be the "
    "extension, or the agent."
)


class TooManyOpenFilesError(ResolutionError):
    """This process has no file descriptor left, so that no connection could be made."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(
            subject,
            "this process has no file descriptor left for a connection",
            "Look for files and connections that are opened at each invocation and never closed (/proc/self/fd lists "
            "them). Lambda allows 1,024 of them.",
        )


class UnsupportedByAgentError(ResolutionError):
    """A `Parameter` was asked of the Secrets Manager Agent, which has Secrets Manager only."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(
            subject,
            "the AWS Secrets Manager Agent listens on this port, and it does not serve Parameter Store",
            "Use the Parameters and Secrets Lambda Extension, keep the value in Secrets Manager, or let boto3 read it "
            '(`fallback="aws"`).',
        )


class UnsupportedByExtensionError(ResolutionError):
    """A secret was declared with a role in front of the extension, which knows no roles. It was not asked."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(
            subject,
            "it is declared with a role, and the server on this port is not the AWS Secrets Manager Agent: the "
            "extension knows no roles, and would answer with this account's own secret of that name",
            'Run the agent in the extension\'s place, or let boto3 read it (`fallback="aws"`). Without a role: declare '
            "the secret's ARN, and let the policies of the secret and of its key allow this function's role.",
        )


class RefreshUnavailableError(ResolutionError):
    """A value should be fetched past every cache, and nothing here can do so."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(
            subject,
            "it cannot be fetched past the extension's cache: the extension has no way to, and boto3 is not installed",
            "Install boto3 with the function (`pip install 'lambdasecrets[aws]'`; Lambda's Python runtimes have it), "
            "or run the AWS Secrets Manager Agent in the extension's place.",
        )


class AnswerError(ResolutionError):
    """AWS refused, and it is known why.

    Attributes:
        code: AWS's error code, such as `ResourceNotFoundException`.
        status: the HTTP status.
        permissions: what the function's role must be allowed to do.
        server: whose answer it was: `agent`, which passes AWS's codes on, or `aws`.
        reason: what happened, without the code.
        advice: what to do, with `{permissions}` where they belong.
    """

    reason: str = "AWS answered with an error"
    advice: str = "See the error codes of GetSecretValue in the Secrets Manager API reference."

    code: str
    status: int
    permissions: tuple[Permission, ...]
    server: Server
    remedy: str

    def __init__(
        self,
        subject: Subject,
        code: str,
        status: int,
        permissions: Sequence[Permission] = (),
        *,
        server: Server = "agent",
        reason: str | None = None,
        advice: str | None = None,
    ) -> None:
        self.code, self.status, self.permissions, self.server = code, status, tuple(permissions), server
        self.reason, self.advice = reason or self.reason, advice or self.advice
        super().__init__(subject, f"{self.reason} ({code}, status {status})", self._advise())

    def _identify_cause(self) -> tuple[object, ...]:
        """See `ResolutionError`: that of several denials each needs a permission does not matter."""
        return (self.why, self.advice)

    def _take(self, other: AnswerError) -> None:
        self.permissions = _unite(self.permissions, other.permissions)
        self.remedy = self._advise()

    def _advise(self) -> str:
        return self.advice.replace("{permissions}", write_permissions(self.permissions))


def _unite(some: tuple[Permission, ...], others: tuple[Permission, ...]) -> tuple[Permission, ...]:
    return tuple(dict.fromkeys(some + others))


class NotFoundError(AnswerError):
    """The secret or parameter, or the version, stage or label of it, does not exist in this account and Region."""

    reason = "it does not exist in this account and Region, or not in that version or stage"
    advice = "Check the name, the Region, the version and the stage."


class MarkedForDeletionError(NotFoundError):
    """The secret is marked for deletion: it exists until its recovery window ends, and cannot be read."""

    reason = "it is marked for deletion"
    advice = "Restore it (`aws secretsmanager restore-secret`), or declare another."


class AccessDeniedError(AnswerError):
    """The role may not read it."""

    reason = "the role may not read it"
    advice = "Allow {permissions} in the role's policy."


class DecryptionError(AnswerError):
    """The role may not use the KMS key, or the key is disabled."""

    reason = "it could not be decrypted"
    advice = (
        "Allow kms:Decrypt on its customer-managed key, in the role's policy and in the key's, and see that the key is "
        "enabled."
    )


class CredentialsRejectedError(AnswerError):
    """AWS does not accept the credentials of who asked it, or there are none."""

    reason = "AWS does not accept the credentials"
    advice = "Renew them."


class UnresolvedError(ResolutionError):
    """AWS refused, and the extension does not say why: it answers every cause with the same words.

    Attributes:
        permissions: what the function's role must be allowed to do.
        causes: what it can be, the likeliest first, with `{permissions}` where they belong.
        finding: what the declaration itself tells, such as an ARN of another Region; None for nothing.
        is_silent: whether the extension is configured to log nothing.
    """

    permissions: tuple[Permission, ...]
    causes: tuple[str, ...]
    finding: str | None
    is_silent: bool
    why: str

    def __init__(
        self,
        subject: Subject,
        permissions: Sequence[Permission] = (),
        *,
        causes: Sequence[str] = (),
        finding: str | None = None,
        is_silent: bool = False,
    ) -> None:
        self.permissions, self.causes = tuple(permissions), tuple(causes or _CAUSES)
        self.finding, self.is_silent = finding, is_silent
        super().__init__(subject, self._say_why(), self._advise())

    def _identify_cause(self) -> tuple[object, ...]:
        """See `ResolutionError`: all refusals read alike, whatever each needs."""
        return (self.finding, self.is_silent)

    def _take(self, other: UnresolvedError) -> None:
        self.permissions = _unite(self.permissions, other.permissions)
        self.causes = _merge(self.causes, other.causes)
        self.why = self._say_why()

    def _say_why(self) -> str:
        causes = (self.finding, *self.causes) if self.finding else self.causes
        listed = "".join(f"\n  - {cause}" for cause in causes)
        listed = listed.replace("{permissions}", write_permissions(self.permissions))
        where = "The extension logs nothing here" if self.is_silent else "The cause is in the function's log"
        return f"AWS refused, and the extension does not tell why. One of:{listed}\n{where}"

    def _advise(self) -> str:
        look = f'ook for lines that begin "{LOG_PREFIX}".'
        if self.is_silent:
            return f"Set PARAMETERS_SECRETS_EXTENSION_LOG_LEVEL, which is NONE, to ERROR, and l{look}"
        return f"L{look}"


_CAUSES = (
    "it does not exist in this account and Region, or not in that version, stage or label",
    "the function's role may not call {permissions}",
    "the role may not call kms:Decrypt on its customer-managed key",
    "it is marked for deletion",
    "AWS throttled the call, or could not be reached",
    "the credentials have expired (behind a local stand-in: `aws sso login`)",
)


def _merge(some: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    """Put two lists together, in the order of both."""
    merged, place = list(some), 0
    for item in others:
        if item not in merged:
            merged.insert(place, item)
        place = merged.index(item) + 1
    return tuple(merged)


class InvalidValueError(ResolutionError):
    """The value does not fit the declared type, or the declared type fails whatever the value is.

    Attributes:
        expected: the declared type, as written.
        problems: what does not fit, without any part of the value; of very many the first hundred.
    """

    expected: str
    problems: tuple[Problem, ...]

    def __init__(self, subject: Subject, expected: str, problems: Sequence[Problem]) -> None:
        from lambdasecrets._words import advise, blames_the_type  # noqa: PLC0415 - needed only for what does not fit

        self.expected, self.problems = expected, tuple(problems)
        lines = [f"\n  - {problem}{_in_brackets(problem.words)}" for problem in self.problems[:_MOST_LINES]]
        listed = "".join(lines) + ("\n  - and more" if len(self.problems) > _MOST_LINES else "")
        is_type_at_fault = any(blames_the_type(problem.type) for problem in self.problems)
        what = f"the declared type {expected} fails" if is_type_at_fault else f"the value does not fit {expected}"
        super().__init__(
            subject,
            f"{what}{listed}\nThe value itself is not shown",
            advise([problem.type for problem in self.problems]),
        )


_MOST_LINES = 20
"""How many problems a message lists."""


def _in_brackets(words: str) -> str:
    return f" ({words})" if words else ""
