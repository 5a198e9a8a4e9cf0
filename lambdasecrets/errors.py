"""Everything that lambdasecrets raises.

    LambdaSecretsError
    ├── DeclarationError (also a TypeError)    a declaration or a signature is wrong; raised at import
    ├── SettingError (also a ValueError)       an option or an environment variable is wrong
    └── ResolutionError                        an invocation did not get a value
        ├── SeveralErrors                      more than one declaration failed; `errors` holds each
        ├── MissingVariableError               a name's {PLACEHOLDER} is not in the environment
        ├── InvalidVariableError               what fills a {PLACEHOLDER} makes no name that AWS could have
        ├── NoTokenError                       there is no session token: this is not a Lambda
        ├── ExtensionUnavailableError          nothing listens on the extension's port
        ├── ExtensionNotReadyError             the extension serves no traffic yet
        ├── TokenRejectedError                 the extension does not accept the session token
        ├── DeadlineExceededError              no answer in the time there was
        ├── ServerError                        overloaded, failing, or gone in the middle of an answer
        ├── ProtocolError                      the answer is not what the extension's contract says
        ├── UnsupportedByAgentError            a Parameter was asked of the Secrets Manager Agent
        ├── AnswerError                        AWS refused, and it is known why
        │   ├── NotFoundError
        │   ├── AccessDeniedError
        │   └── DecryptionError
        ├── UnresolvedError                    AWS refused, and the extension does not say why
        └── InvalidValueError                  the value does not fit the declared type

No error holds a value that came from AWS, nor the token: not in its text, its attributes, its cause or its context.
"""

from __future__ import annotations

from copy import copy
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LOG_PREFIX = "[AWS Parameters and Secrets Lambda Extension]"
"""How the extension begins every line that it writes to the function's log."""


class Subject(NamedTuple):
    """What an error is about: which parameters of which handler, and what they declare.

    Attributes:
        owner: the handler, as `module.qualname`, or `resolve()`.
        parameters: the parameters that asked for it; a field of a config model as `config.database`.
        declarations: the declarations as they would be written, their placeholders filled in.
    """

    owner: str
    parameters: tuple[str, ...]
    declarations: tuple[str, ...]

    def __str__(self) -> str:
        """Name the parameters, the handler and the declarations in one phrase."""
        names = " and ".join(repr(name) for name in self.parameters)
        declared = " and ".join(self.declarations)
        return f"{names} of {self.owner}, {declared}" if names else f"{declared} for {self.owner}"

    def joined(self, other: Subject) -> Subject:
        """Put two subjects of one handler together."""
        declarations = dict.fromkeys(self.declarations + other.declarations)
        return Subject(self.owner, self.parameters + other.parameters, tuple(declarations))


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


def _list(permissions: Sequence[Permission]) -> str:
    return " and ".join(map(str, permissions))


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


def _restore(kind: type[LambdaSecretsError], args: tuple[Any, ...], state: dict[str, Any]) -> LambdaSecretsError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class LambdaSecretsError(Exception):
    """The root of everything that this library raises."""

    def __reduce__(self) -> tuple[Callable[..., LambdaSecretsError], tuple[Any, ...]]:
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
        super().__init__(f"Cannot resolve {subject}: {why}. {remedy}")


class SeveralErrors(ResolutionError):  # noqa: N818 - it is the plural that tells it apart
    """More than one declaration of a handler failed, for different reasons.

    Attributes:
        errors: each failure, in the order of the declarations.
    """

    errors: tuple[ResolutionError, ...]

    def __init__(self, errors: Sequence[ResolutionError]) -> None:
        self.errors = tuple(errors)
        listed = "\n".join(f"{number}. {error}" for number, error in enumerate(self.errors, 1))
        subject = reduce(Subject.joined, (error.subject for error in self.errors))
        count = len(subject.declarations)
        super().__init__(subject, f"{count} of its declarations failed", f"Each for itself:\n{listed}")


def combined(errors: Sequence[ResolutionError]) -> ResolutionError:
    """Make one error of several: where they say the same of each declaration, once for all of them."""
    groups: dict[tuple[type, str, str], ResolutionError] = {}
    for error in errors:
        alike = (type(error), error.why, error.remedy)
        groups[alike] = _about(groups[alike].subject.joined(error.subject), error) if alike in groups else error
    return next(iter(groups.values())) if len(groups) == 1 else SeveralErrors(tuple(groups.values()))


def _about(subject: Subject, error: ResolutionError) -> ResolutionError:
    other = copy(error)
    ResolutionError.__init__(other, subject, error.why, error.remedy)
    return other


class MissingVariableError(ResolutionError):
    """A name has a placeholder, and the environment does not have the variable, or has it empty.

    Attributes:
        variable: the environment variable.
    """

    variable: str

    def __init__(self, subject: Subject, variable: str) -> None:
        self.variable = variable
        super().__init__(
            subject,
            f"the environment variable {variable} is not set",
            "Set it in the function's configuration (locally: in the [environment] table of the secrets file).",
        )


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
        super().__init__(
            subject,
            "there is no AWS_SESSION_TOKEN, so this is not a Lambda execution environment",
            "To run a handler on your own machine: `lambdasecrets invoke app.py:handler --secrets secrets.toml`; "
            "in a test: pass the values as keyword arguments, or start `lambdasecrets.dev.emulator.Emulator`.",
        )


class ExtensionUnavailableError(ResolutionError):
    """Nothing accepts connections where the extension should listen.

    Attributes:
        port: the port on 127.0.0.1 that was tried.
        seconds: how long.
    """

    port: int
    seconds: float

    def __init__(self, subject: Subject, port: int, seconds: float) -> None:
        self.port, self.seconds = port, seconds
        super().__init__(
            subject,
            f"nothing answered on 127.0.0.1:{port} for {seconds:.1f} s",
            "Is the layer AWS-Parameters-and-Secrets-Lambda-Extension attached to this function (a container image: "
            "is its content in /opt)? Is PARAMETERS_SECRETS_EXTENSION_HTTP_PORT the same for both?",
        )


class ExtensionNotReadyError(ResolutionError):
    """The extension runs but serves no traffic: it starts to with the first invocation.

    Attributes:
        seconds: how long it was asked.
    """

    seconds: float

    def __init__(self, subject: Subject, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(
            subject,
            f'the extension answered "not ready to serve traffic" for {seconds:.1f} s',
            "Was this called while the module was imported? The extension serves during invocations only: resolve "
            "inside the handler.",
        )


class TokenRejectedError(ResolutionError):
    """The extension does not accept the session token, read a second time.

    Attributes:
        status: the HTTP status, 401 or 403.
    """

    status: int

    def __init__(self, subject: Subject, status: int) -> None:
        self.status = status
        super().__init__(
            subject,
            f"the extension answered {status} to the session token, which was read twice",
            "Does something change AWS_SESSION_TOKEN inside the function? Under SnapStart, update the extension's "
            "layer: older versions reject every token there.",
        )


class DeadlineExceededError(ResolutionError):
    """No answer came in the time there was.

    Attributes:
        seconds: the time there was.
        bound: what set it: `timeout` or `invocation`, the invocation's remaining time less a reserve.
    """

    seconds: float
    bound: str

    def __init__(self, subject: Subject, seconds: float, bound: str) -> None:
        self.seconds, self.bound = seconds, bound
        limit = "the timeout" if bound == "timeout" else "what the invocation had left, less a reserve"
        super().__init__(
            subject,
            f"no answer within {seconds:.2f} s ({limit})",
            "Can the function reach AWS? In a VPC it needs a route or interface endpoints for Secrets Manager and "
            "SSM; without them the extension waits for ever unless SECRETS_MANAGER_TIMEOUT_MILLIS and "
            "SSM_PARAMETER_STORE_TIMEOUT_MILLIS are set.",
        )


class ServerError(ResolutionError):
    """The extension is overloaded or failing, or the connection was lost in the middle of an answer, time and again.

    Attributes:
        status: the last HTTP status; None for a lost connection.
        attempts: how often it was asked.
        seconds: over how long.
    """

    status: int | None
    attempts: int
    seconds: float

    def __init__(self, subject: Subject, status: int | None, attempts: int, seconds: float) -> None:
        self.status, self.attempts, self.seconds = status, attempts, seconds
        what = "the connection was lost in the middle of the answer" if status is None else f"the answer was {status}"
        super().__init__(
            subject,
            f"{what}; asked {attempts} times in {seconds:.2f} s",
            f'Look in the function\'s log for lines that begin "{LOG_PREFIX}". `stale_if_error` lets a handler go on '
            "with the last good value.",
        )


class ProtocolError(ResolutionError):
    """The answer is not what the extension's contract says. Never retried.

    Attributes:
        status: the HTTP status; None where the answer is no HTTP.
        detail: what is wrong with it.
    """

    status: int | None
    detail: str

    def __init__(self, subject: Subject, status: int | None, detail: str) -> None:
        self.status, self.detail = status, detail
        super().__init__(
            subject,
            f"the answer{'' if status is None else f' ({status})'} {detail}",
            "Does something else listen on the extension's port (PARAMETERS_SECRETS_EXTENSION_HTTP_PORT)?",
        )


class UnsupportedByAgentError(ResolutionError):
    """A `Parameter` was asked of the Secrets Manager Agent, which has Secrets Manager only."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(
            subject,
            "the AWS Secrets Manager Agent listens on this port, and it does not serve Parameter Store",
            "Use the Parameters and Secrets Lambda Extension, or keep the value in Secrets Manager.",
        )


class AnswerError(ResolutionError):
    """AWS refused, and the agent says why.

    Attributes:
        code: AWS's error code, such as `ResourceNotFoundException`.
        status: the HTTP status.
        permissions: what the function's role must be allowed to do.
    """

    reason: ClassVar[str] = "AWS answered with an error"
    advice: ClassVar[str] = "See the error codes of GetSecretValue in the Secrets Manager API reference."

    code: str
    status: int
    permissions: tuple[Permission, ...]

    def __init__(self, subject: Subject, code: str, status: int, permissions: Sequence[Permission]) -> None:
        self.code, self.status, self.permissions = code, status, tuple(permissions)
        advice = self.advice.format(permissions=_list(self.permissions))
        super().__init__(subject, f"{self.reason} ({code}, status {status})", advice)


class NotFoundError(AnswerError):
    """The secret, or the version or stage of it, does not exist in this account and Region."""

    reason = "it does not exist in this account and Region, or not in that version or stage"
    advice = "Check the name, the Region, the version and the stage."


class AccessDeniedError(AnswerError):
    """The role may not read it."""

    reason = "the role may not read it"
    advice = "Allow {permissions} in the role's policy."


class DecryptionError(AnswerError):
    """The role may not use the KMS key, or the key is disabled."""

    reason = "it could not be decrypted"
    advice = "Allow kms:Decrypt on the secret's customer-managed key, and see that the key is enabled."


class UnresolvedError(ResolutionError):
    """AWS refused, and the extension does not say why: it answers every cause with the same words.

    Attributes:
        permissions: what the function's role must be allowed to do.
    """

    permissions: tuple[Permission, ...]

    def __init__(self, subject: Subject, permissions: Sequence[Permission]) -> None:
        self.permissions = tuple(permissions)
        super().__init__(
            subject,
            "AWS refused, and the extension does not tell why. One of:\n"
            "  - it does not exist in this account and Region, or not in that version, stage or label\n"
            f"  - the function's role may not call {_list(self.permissions)}\n"
            "  - the role may not call kms:Decrypt on its customer-managed key\n"
            "  - AWS throttled the call, or could not be reached\n"
            "The cause is in the function's log",
            f'Look for lines that begin "{LOG_PREFIX}".',
        )


class InvalidValueError(ResolutionError):
    """The value does not fit the declared type, or the declared type fails whatever the value is.

    Attributes:
        expected: the declared type, as written.
        problems: what does not fit, without any part of the value.
    """

    expected: str
    problems: tuple[Problem, ...]

    def __init__(self, subject: Subject, expected: str, problems: Sequence[Problem]) -> None:
        from lambdasecrets._words import blames_the_type  # noqa: PLC0415 - needed only where a value does not fit

        self.expected, self.problems = expected, tuple(problems)
        listed = "".join(f"\n  - {problem}{_in_brackets(problem.words)}" for problem in self.problems)
        is_type_at_fault = any(blames_the_type(problem.type) for problem in self.problems)
        what = f"the declared type {expected} fails" if is_type_at_fault else f"the value does not fit {expected}"
        super().__init__(
            subject,
            f"{what}{listed}\nThe value itself is not shown",
            _REMEDY_FOR_THE_TYPE if is_type_at_fault else "Correct the value in AWS, or the declared type.",
        )


_REMEDY_FOR_THE_TYPE = (
    "Correct the declared type or its validators, not the value: a validator refuses a value by raising ValueError."
)


def _in_brackets(words: str) -> str:
    return f" ({words})" if words else ""
