"""A whole mail store from two functions: ``load`` and ``commit``.

``SimpleBackend`` keeps every account in memory and does all that ``roost.storage.api`` promises. Each change is a list
of ``Step`` values, worked out first (``plan.py``), then given to ``commit`` to be made durable, then applied
(``account.py``). A store that can write such lists and read them back in order is complete: ``steps.py`` also turns
them into lines of text. It suits stores up to some ten thousand messages with one process, and tests.
"""

from __future__ import annotations

from roost.storage.simple.account import Account
from roost.storage.simple.backend import SimpleBackend
from roost.storage.simple.steps import Step, from_line, to_line

__all__ = ["Account", "SimpleBackend", "Step", "from_line", "to_line"]
