"""What holds a few values by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from typing_extensions import Self


class Record:  # noqa: PLW1641 - nothing keeps them by their hash
    """Holds a few values by name: equal by content, and shown by it. A subclass names them in `__slots__`.

    A NamedTuple does the same, and takes fifteen times as long to define, at every import, and half as long again to
    make, at every invocation. Those that users meet, and keys of dictionaries, are NamedTuples all the same.
    """

    __slots__: ClassVar[tuple[str, ...]] = ()

    def __eq__(self, other: object) -> bool:
        """Compare kind and content."""
        return type(other) is type(self) and all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __repr__(self) -> str:
        """Give what would make it."""
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__slots__)})"

    def replace(self, **changes: object) -> Self:
        """Give the same with some values changed."""
        return type(self)(**{name: getattr(self, name) for name in self.__slots__} | changes)
