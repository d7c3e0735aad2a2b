"""Events: what happened, in which context. Categories, fields and a log prefix are inherited from the parent.

An event is made once, gathers fields, and is *sent* any number of times by its ``log_*`` methods; ``set_name`` names
the next send only. A send reaches the observers (``OBSERVERS``: statistics, tests) and the log. Whoever adds an
observer must keep it cheap: it runs within the send.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from roost.events.log import Log

FieldValue = str | int | float
LEVELS = {"debug": "D", "info": "I", "warning": "W", "error": "E"}


@dataclass(frozen=True, slots=True)
class Sent:
    """One send, as an observer sees it. ``fields`` and ``categories`` are those of the event and all its parents."""

    name: str
    level: str
    text: str
    categories: frozenset[str]
    fields: Mapping[str, FieldValue]
    file: str
    line: int


OBSERVERS: list[Callable[[Sent], None]] = []


class Event:
    """A node in the tree of contexts. ``log`` is needed at the root only; its prefix stands before the events' own."""

    __slots__ = (
        "_categories",
        "_file",
        "_forced_debug",
        "_line",
        "_log",
        "_name",
        "_own",
        "_prefix",
        "_replaced",
        "_show_source",
        "parent",
    )

    def __init__(
        self,
        parent: Event | None = None,
        *,
        log: Log | None = None,
        categories: Iterable[str] = (),
        fields: Mapping[str, FieldValue] | None = None,
        file: str = "",
        line: int = 0,
    ) -> None:
        self.parent = parent
        self._log = log
        self._categories = frozenset(categories)
        self._own: dict[str, FieldValue] = dict(fields or {})
        self._prefix = ""
        self._replaced = False
        self._forced_debug = False
        self._show_source = False
        self._name = ""
        self._file, self._line = file, line

    def child(self, *, categories: Iterable[str] = (), file: str = "", line: int = 0) -> Event:
        """A new event under this one."""
        return Event(self, categories=categories, file=file, line=line)

    def add_field(self, key: str, value: FieldValue) -> None:
        self._own[key] = value

    def inc_field(self, key: str, difference: int) -> None:
        """Add to an own integer field; one that is missing, or no integer, starts at the difference."""
        old = self._own.get(key)
        self._own[key] = old + difference if type(old) is int else difference

    def field(self, key: str) -> FieldValue | None:
        """The value here or at the nearest parent that has it."""
        node: Event | None = self
        while node is not None:
            if key in node._own:
                return node._own[key]
            node = node.parent
        return None

    def fields(self) -> dict[str, FieldValue]:
        """All fields, with the nearest ones winning."""
        made = self.parent.fields() if self.parent is not None else {}
        made.update(self._own)
        return made

    def categories(self) -> frozenset[str]:
        return self._categories | (self.parent.categories() if self.parent is not None else frozenset())

    def set_name(self, name: str) -> None:
        """The name of the next send."""
        self._name = name

    def take_name(self) -> str:
        """The name set for the next send, which is used up now."""
        name, self._name = self._name, ""
        return name

    def append_prefix(self, text: str) -> None:
        """Text after the inherited prefix (and after what was appended here before)."""
        self._prefix += text

    def replace_prefix(self, text: str) -> None:
        """Text in place of the whole inherited prefix, the process's own included."""
        self._prefix, self._replaced = text, True

    def prefix(self) -> str:
        """The whole log prefix."""
        if self._replaced:
            return self._prefix
        above = self.parent.prefix() if self.parent is not None else (self._log.prefix if self._log else "")
        return above + self._prefix

    def force_debug(self, wanted: bool) -> None:
        """Debug lines of this event and its children are written whatever the log's level."""
        self._forced_debug = wanted

    def show_source(self) -> None:
        """Log lines begin with the file and line."""
        self._show_source = True

    @property
    def debugging(self) -> bool:
        """Whether a debug line would be written."""
        node: Event | None = self
        while node is not None:
            if node._forced_debug:
                return True
            node = node.parent
        log = self.log
        return log is not None and log.debugging

    @property
    def log(self) -> Log | None:
        """Where the lines go: the nearest parent's that has one."""
        node: Event | None = self
        while node is not None:
            if node._log is not None:
                return node._log
            node = node.parent
        return None

    @property
    def shows_source(self) -> bool:
        return self._show_source

    @property
    def source(self) -> tuple[str, int]:
        """Where the event was made: file and line; "" and 0 when not known."""
        return self._file, self._line

    def log_debug(self, text: str, *, file: str = "", line: int = 0) -> None:
        self.send("debug", text, file=file, line=line)

    def log_info(self, text: str, *, file: str = "", line: int = 0) -> None:
        self.send("info", text, file=file, line=line)

    def log_warning(self, text: str, *, file: str = "", line: int = 0) -> None:
        self.send("warning", text, file=file, line=line)

    def log_error(self, text: str, *, file: str = "", line: int = 0) -> None:
        self.send("error", text, file=file, line=line)

    def send(self, level: str, text: str, *, file: str = "", line: int = 0) -> None:
        """One send. ``level`` is a key of LEVELS; ``file`` and ``line`` say where, by default where it was made."""
        name = self.take_name()
        if not file:
            file, line = self._file, self._line
        if OBSERVERS:
            sent = Sent(name, level, text, self.categories(), self.fields(), file, line)
            for observer in OBSERVERS:
                observer(sent)
        log = self.log
        if log is None or (level == "debug" and not self.debugging):
            return
        source = f"{file}:{line}: " if self._show_source and file else ""
        log.child(self.prefix()).emit(LEVELS[level], source + text)


class Passthrough:
    """A send being prepared: its fields, prefix and name live only until the one ``log_*`` that finishes it."""

    __slots__ = ("_own", "event")

    def __init__(self, event: Event) -> None:
        self.event = event
        self._own = Event(event)
        self._own.set_name(event.take_name())
        if event.shows_source:
            self._own.show_source()

    @property
    def own(self) -> Event:
        """The temporary event: same methods, and dead after its first send."""
        return self._own
