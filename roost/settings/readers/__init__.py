"""The two languages of configuration files, both read to the same statements (``statements.py``).

``READERS`` by file suffix; anything else is the Dovecot language.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from roost.settings.readers import dovecot, toml
from roost.settings.readers.statements import Statement

READERS: dict[str, Callable[[str, str], Sequence[Statement]]] = {".conf": dovecot.read, ".toml": toml.read}
"""suffix → ``read(text, file)``: statements in order. Raises ConfigError with file and line."""


def reader_of(path: str) -> Callable[[str, str], Sequence[Statement]]:
    """The reader for a file of this name (``auth-passwdfile.conf.ext`` is the Dovecot language too)."""
    for suffix, reader in READERS.items():
        if path.endswith(suffix):
            return reader
    return dovecot.read
