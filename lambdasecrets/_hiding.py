"""What keeps values and tokens out of tracebacks: a holder that shows nothing, and the cleaning of frames.

Formatters show the locals of every frame of a traceback, and evaluate what stands on its line. A frame of this
library holds tokens and values while it works, and so do the frames of what carries its requests.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Generic, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType, TracebackType

_T = TypeVar("_T")


class Hidden(Generic[_T]):
    """Holds an object where no `repr`, attribute or debugger that takes objects apart shows it: in a closure.

    Args:
        content: what to hold.

    Attributes:
        reveal: gives it. To be called in the expression that uses it, so that no frame has it by a name.
    """

    __slots__ = ("reveal",)

    def __init__(self, content: _T) -> None:
        self.reveal: Callable[[], _T] = lambda: content

    def __repr__(self) -> str:
        """Show that something is hidden."""
        return f"{type(self).__name__}()"


class Token(Hidden[str]):
    """A credential on its way to a server."""

    __slots__ = ()


_PACKAGE = os.path.dirname(__file__) + os.sep  # noqa: PTH120 - pathlib is not loaded for this
_TOOLS = f"{_PACKAGE}dev{os.sep}"
_CARRIERS = (
    "requests",
    "urllib3",
    "http.client",
    "socket",
    "ssl",
    "pydantic",
    "boto3",
    "botocore",
    "concurrent.futures",
    "asyncio",
)
"""What works below this library: a frame of theirs counts as ours where one of ours called it."""

_boundaries: dict[int, CodeType] = {}
"""By identity: equal code in two files is equal."""


def register_boundary(function: Callable[..., object]) -> None:
    """Declare a function whose frames stay: it holds no value."""
    code: CodeType = function.__code__
    _boundaries[id(code)] = code


def clean(error: BaseException) -> list[str]:
    """Take the library's frames out of an exception, and out of those that it carries.

    Args:
        error: its `__cause__`, `__context__` and, of a group, its members are cleaned too.

    Returns:
        Where the removed frames were, as `file:line`, the innermost last.
    """
    carriers = tuple(_find_carriers())
    removed: list[str] = []
    for one in list_carried(error, with_context=True):
        one.__traceback__ = _without_frames(one.__traceback__, carriers, removed)
    return removed


def list_carried(error: BaseException, *, with_context: bool) -> Iterator[BaseException]:
    """List an exception and all that it carries, each once: causes, and the members of groups.

    Args:
        error: the first.
        with_context: whether what was handled when an exception was raised counts too.
    """
    waiting, seen = [error], {id(error)}
    while waiting:
        one = waiting.pop()
        yield one
        members: object = getattr(one, "exceptions", ())
        carried: list[object] = [one.__cause__, *(cast("tuple[object]", members) if isinstance(members, tuple) else ())]
        if with_context:
            carried.append(one.__context__)
        for other in carried:
            if isinstance(other, BaseException) and id(other) not in seen:
                seen.add(id(other))
                waiting.append(other)


def _without_frames(
    traceback: TracebackType | None, carriers: tuple[str, ...], removed: list[str]
) -> TracebackType | None:
    """Link a traceback past the frames that go. The entries that stay are the same objects."""
    first: TracebackType | None = None
    last: TracebackType | None = None
    is_below = False
    while traceback is not None:
        code = traceback.tb_frame.f_code
        file = code.co_filename
        is_ours = file.startswith(_PACKAGE) and not file.startswith(_TOOLS)
        is_below = (is_ours and id(code) not in _boundaries) or (is_below and not is_ours and file.startswith(carriers))
        if is_below:
            removed.append(f"{file}:{traceback.tb_lineno}")
        elif last is None:
            first = last = traceback
        else:
            last.tb_next = traceback
            last = traceback
        traceback = traceback.tb_next
    if last is not None:
        last.tb_next = None
    return first


def _find_carriers() -> Iterator[str]:
    """List where the files of the loaded carriers are: a module's file, or a package's folder."""
    for name in _CARRIERS:
        file = getattr(sys.modules.get(name), "__file__", None)
        if isinstance(file, str):
            yield os.path.dirname(file) + os.sep if file.endswith("__init__.py") else file  # noqa: PTH120
