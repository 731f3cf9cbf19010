"""A test suite that cannot call, or pay, a real provider by accident."""

from __future__ import annotations

from contextlib import AbstractContextManager

from ..adapters import remote_calls

__all__ = ["refuse_remote"]


def refuse_remote() -> AbstractContextManager[None]:
    """Refuse every call that would leave this machine, inside the `with` block.

    Providers raise `RemoteCallRefusedError` before they open a socket, so a guarded
    function answers from its next tier. Loopback endpoints (a `FaultServer`), fakes,
    local models and replays go on working. The switch is the whole process's; blocks
    may be nested.

    For a whole test suite, in its `conftest.py`:

        @pytest.fixture(autouse=True)
        def _no_remote(llmguard_refuse_remote): ...
    """
    return remote_calls.refuse()
