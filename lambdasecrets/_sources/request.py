"""One thing to ask for, and what comes back: a raw value or an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lambdasecrets._sources.forms import Form, RawValue, make_form
from lambdasecrets.errors import ResolutionError

if TYPE_CHECKING:
    from lambdasecrets._declarations import Parameter, Secret
    from lambdasecrets.errors import Subject


class Request:
    """One thing to ask for, however many declarations want it.

    Args:
        path: the path and query, by which it is known everywhere: name, version, stage and role are all in it.
        declaration: one of those that want it, its placeholders filled in.
        subject: all that want it, for the errors.
        is_optional: whether every one that wants it has a default, so that its absence is no failure to retry.

    Attributes:
        form: how it is asked for and answered.
    """

    def __init__(
        self, path: str, declaration: Secret | Parameter, subject: Subject, *, is_optional: bool = False
    ) -> None:
        self.path: str = path
        self.declaration: Secret | Parameter = declaration
        self.subject: Subject = subject
        self.is_optional: bool = is_optional
        self.form: Form = make_form(declaration)


Fetched = RawValue | ResolutionError
