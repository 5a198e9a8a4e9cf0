"""What a holder shows of what it holds, and which frames a traceback keeps when it leaves the library."""

from __future__ import annotations

import pickle
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

import lambdasecrets
from lambdasecrets import _hiding
from lambdasecrets._hiding import Hidden, Token, clean, register_boundary

PACKAGE = Path(lambdasecrets.__file__).parent


def compile_as(path: Path, source: str, **names: Any) -> Callable[..., Any]:
    """Make the function `f` of a source as if it stood in a file."""
    code = compile(source, str(path), "exec", dont_inherit=True)
    inner = next(constant for constant in code.co_consts if isinstance(constant, CodeType))
    return FunctionType(inner, {"__builtins__": __builtins__, **names})


def call_in(path: Path, inner: Callable[[], Any]) -> Callable[[], Any]:
    """Make a function in a file that calls another one."""
    return compile_as(path, "def f():\n    return inner()\n", inner=inner)


def fail() -> None:
    """Raise, in a frame of the user's."""
    raise ValueError


def frames_of(error: BaseException) -> list[str]:
    """List the functions of a traceback below the test's own."""
    return [Path(frame.f_code.co_filename).name for frame, _ in traceback.walk_tb(error.__traceback__)][1:]


def error_of(function: Callable[[], Any]) -> BaseException:
    """Call a function and catch what it raises."""
    try:
        function()
    except BaseException as error:  # noqa: BLE001 - whatever it is
        return error
    raise AssertionError  # pragma: no cover - every function here raises


def test_frames_of_the_library_go() -> None:
    """Frames of the library leave a traceback, frames of the user stay, those between too; where they were is told."""
    inner = call_in(PACKAGE / "_inner.py", fail)
    error = error_of(call_in(PACKAGE / "_outer.py", call_in(Path("user.py"), inner)))
    removed = clean(error)
    assert frames_of(error) == ["user.py", "test_hiding.py"]
    assert [Path(place).name for place in removed] == ["_outer.py:2", "_inner.py:2"]


def test_frames_of_the_tools_stay() -> None:
    """The stand-in's frames are no part of the runtime."""
    error = error_of(call_in(PACKAGE / "dev" / "tool.py", fail))
    assert (clean(error), frames_of(error)) == ([], ["tool.py", "test_hiding.py"])


def test_a_boundary_stays() -> None:
    """The frame of a function that was registered stays: it holds nothing."""
    boundary = call_in(PACKAGE / "_boundary.py", call_in(PACKAGE / "_inner.py", fail))
    assert isinstance(boundary, FunctionType)
    register_boundary(boundary)
    error = error_of(boundary)
    clean(error)
    del _hiding._boundaries[id(boundary.__code__)]
    assert frames_of(error) == ["_boundary.py", "test_hiding.py"]


@pytest.mark.parametrize("carrier", ["http.client", "socket", "concurrent.futures"])
def test_frames_of_what_carries_requests_go_with_ours(carrier: str) -> None:
    """What the library called goes; the same module's frames in the user's own work stay."""
    __import__(carrier)
    file = Path(str(sys.modules[carrier].__file__))
    ours = error_of(call_in(PACKAGE / "_outer.py", call_in(file, call_in(file, fail))))
    theirs = error_of(call_in(Path("user.py"), call_in(file, fail)))
    clean(ours)
    clean(theirs)
    assert (["test_hiding.py"], ["user.py", file.name, "test_hiding.py"]) == (
        frames_of(ours),
        frames_of(theirs),
    )


def test_what_an_exception_carries_is_cleaned_too() -> None:
    """Cause, context and the members of a group lose the library's frames, however they are linked."""
    parts = [error_of(call_in(PACKAGE / "_inner.py", fail)) for _ in range(3)]
    error = ValueError()
    error.__cause__, error.__context__ = parts[0], parts[1]
    parts[0].__context__ = error  # a circle
    error.exceptions = (parts[2], "no exception")  # type: ignore[attr-defined]  # as a group has them
    assert len(clean(error)) == 3
    assert [frames_of(part) for part in parts] == [["test_hiding.py"]] * 3


def test_nothing_may_stay() -> None:
    """An exception whose frames are all of the library has no traceback left."""
    error = ValueError()
    inner = compile_as(PACKAGE / "_inner.py", "def f():\n    raise error\n", error=error)
    caught = error_of(inner)
    assert caught.__traceback__ is not None
    caught.__traceback__ = caught.__traceback__.tb_next
    clean(caught)
    assert caught.__traceback__ is None


# --- Holders ------------------------------------------------------------------------------------------------------


def test_gives_what_it_holds() -> None:
    """What is hidden comes back by a call."""
    assert (Hidden([1]).reveal(), Token("t").reveal()) == ([1], "t")


def test_shows_nothing() -> None:
    """Neither its text nor what an attribute gives shows the content."""
    hidden = Hidden("canary")
    shown = f"{hidden!r}{hidden}{hidden.reveal!r}{[getattr(hidden, name) for name in type(hidden).__slots__]}"
    assert "canary" not in shown


def test_is_not_pickled() -> None:
    """A holder does not leave the process."""
    with pytest.raises((AttributeError, TypeError, pickle.PicklingError)):
        pickle.dumps(Hidden("canary"))
