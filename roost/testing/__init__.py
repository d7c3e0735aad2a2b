"""Conformance suites that ship with Roost, for those who write a store, a password database or a sink.

``roost.testing.backend`` judges mail stores, ``roost.testing.dict`` dict drivers. They need pytest, which Roost itself
does not.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("roost.testing.backend", "roost.testing.dict", "roost.testing.dict_processes")
