"""What a mail store must do, as tests: derive from ``BackendSuite``, say how to make your backend, run pytest.

    from roost.testing.backend import BackendSuite

    class TestMyStore(BackendSuite):
        def make_backend(self, folder, context):
            return MyBackend(folder, context)

        two_processes = True        # several processes may have one store open
        persistent = True           # what was committed is there after aclose and a new start

``make_backend`` is called again with the same folder when a test starts the store anew. Each test is given a fresh
folder. The behaviours are those of ``roost.storage.api``; each test's first line says which one it holds.
"""

from __future__ import annotations

from roost.testing.backend.copying import CopyTests
from roost.testing.backend.damage import InterruptionTests
from roost.testing.backend.fetching import FetchTests
from roost.testing.backend.flags import FlagTests
from roost.testing.backend.harness import Harness
from roost.testing.backend.mailboxes import MailboxTests
from roost.testing.backend.messages import MessageTests
from roost.testing.backend.processes import ProcessTests
from roost.testing.backend.random_sessions import RandomSessionTests
from roost.testing.backend.searching import SearchTests
from roost.testing.backend.views import ViewTests

__all__ = ["BackendSuite"]


class BackendSuite(
    MailboxTests,
    MessageTests,
    FetchTests,
    FlagTests,
    CopyTests,
    SearchTests,
    ViewTests,
    RandomSessionTests,
    InterruptionTests,
    ProcessTests,
    Harness,
):
    """All of it."""
