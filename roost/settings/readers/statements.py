"""One statement of a configuration file, whatever its language."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """What a statement does; ``key`` and ``value`` of the Statement mean what the comment says."""

    SET = "set"  # key = value
    SET_FILE = "set-file"  # key = <value: the content of a file
    SET_HEREDOC = "set-heredoc"  # key = <<MARKER: the text itself
    OPEN = "open"  # key value {   (value "" = no name)
    CLOSE = "close"  # }
    INCLUDE = "include"  # !include value
    INCLUDE_TRY = "include-try"  # !include_try value
    GROUP = "group"  # group @key value {
    USE_GROUP = "use-group"  # @key = value
    WARN = "warn"  # not a statement: a warning about this line


class Statement(NamedTuple):
    """``quoted``: the value stood in quotes, so ``$`` in it is only a ``$`` and a list has one member.
    ``written``: how the value stands in the file, where that is not the value itself (``<path``)."""

    kind: Kind
    key: str
    value: str
    file: str
    line: int
    quoted: bool = False
    written: str = ""
