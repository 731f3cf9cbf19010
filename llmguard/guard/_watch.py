"""Who is told how a live call went, besides its caller: the hook of shadow mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..outcome import Outcome
    from ._call import Call
    from ._commands import Run
    from ._judge import Judged

__all__ = ["Watch"]


class Watch(Protocol):
    """Follows one call; made by `Runtime.watch` for the calls it wants.

    Both methods run in the caller's thread or task: they must be short and must not
    raise.
    """

    def tried(self, run: Run, judged: Judged, number: int) -> None:
        """Take one attempt, as it was judged; `run.model` is still there."""
        ...

    def ended(self, call: Call, outcome: Outcome) -> None:
        """Take the end of the call, after its outcome was published."""
        ...
