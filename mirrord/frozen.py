"""`dataclass` for values: mypy refuses to change a frozen one; at run time nothing checks it.

The constructor of a standard frozen dataclass takes 2.5 times as long as a plain one, because it goes round the check
with a call for each field. A small file needs about twenty values: that was 8 % of its CPU.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    from dataclasses import dataclass as _dataclass

    def dataclass(*, frozen: bool = False, eq: bool = True, **given: bool) -> Any:
        """As `dataclasses.dataclass`. A frozen class is hashable, too."""
        return _dataclass(eq=eq, unsafe_hash=frozen and eq, **given)


__all__ = ["dataclass"]
