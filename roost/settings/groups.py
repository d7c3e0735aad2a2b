"""Groups: ``group @label name { … }`` is kept as it is read and put in at the end where ``@label = name`` stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from roost.errors import ConfigError
from roost.settings.places import Frame
from roost.settings.readers.statements import Kind, Statement


@dataclass(frozen=True)
class Use:
    """``@label = name`` at a place."""

    label: str
    name: str
    frame: Frame
    file: str
    line: int


class Groups:
    """The bodies by (label, name) and the places that use them."""

    def __init__(self) -> None:
        self.bodies: dict[tuple[str, str], list[Statement]] = {}
        self.uses: list[Use] = []
        self.start: Statement | None = None
        """The opening of the group that is being read."""
        self.depth = 0
        """Braces open inside that group, its own included."""

    def open(self, one: Statement) -> None:
        self.bodies.setdefault((one.key, one.value), [])
        self.start, self.depth = one, 1

    def collect(self, one: Statement) -> None:
        """A statement inside the open group, until the group's own brace closes. Raises ConfigError."""
        assert self.start is not None
        if one.kind in (Kind.GROUP, Kind.USE_GROUP):
            raise ConfigError("Recursive include groups not allowed", file=one.file, line=one.line)
        if one.kind is Kind.OPEN:
            self.depth += 1
        elif one.kind is Kind.CLOSE:
            self.depth -= 1
            if self.depth == 0:
                self.start = None
                return
        self.bodies[self.start.key, self.start.value].append(one)

    def body(self, use: Use, redirects: Mapping[str, str]) -> list[Statement]:
        """What to put in at a place; ``redirects``: label → another group. Raises ConfigError."""
        name = redirects.get(use.label, use.name)
        found = self.bodies.get((use.label, name))
        if found is None:
            known = sorted(each for label, each in self.bodies if label == use.label)
            why = f"Unknown group @{use.label}={name} (there are: {', '.join(known)})"
            if not known:
                why = f"Unknown group label @{use.label}"
            raise ConfigError(why, file=use.file, line=use.line)
        return found

    def check_redirects(self, redirects: Mapping[str, str]) -> None:
        """A group can be changed from outside only where one is used. Raises ConfigError."""
        for label in redirects:
            if all(use.label != label for use in self.uses):
                raise ConfigError(
                    f"Unknown group label @{label} (it must be used in the files to be changed)", file="-o"
                )
