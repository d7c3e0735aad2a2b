"""Statements → tree: sections, prefixes of keys, list blocks, groups, older spellings; and what is wrong is named.

Errors about single settings are collected, so that one run names them all; errors of the grammar (braces, files) stop
at once. The first error is raised at the end with the others as notes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from roost.errors import ConfigError
from roost.settings import registry, unknown
from roost.settings.connections import ALWAYS, Conditions, narrowed
from roost.settings.fields import BOOLLIST, ENUM, LISTS, NETS, STRLIST, Spec, Type
from roost.settings.groups import Groups, Use
from roost.settings.known import DOVECOT_SERVICES, IGNORED, LOGIN_SERVICES
from roost.settings.places import Frame, Role, meant, remaining, why_not_here
from roost.settings.readers.quoting import quote, written
from roost.settings.readers.statements import Kind, Statement
from roost.settings.schema import INLINE, LIST_FILTERS, NAMED_FILTERS, PARENTS
from roost.settings.tree import DEFAULT, FILE, GROUP, Assignment, Block, Op, Path, Scope, Tree
from roost.settings.values import parse_bool

MAX_DEPTH = 32
MAX_ERRORS = 50
MAX_ASSIGNMENTS = 100_000
VERSIONS = ("dovecot_config_version", "dovecot_storage_version")


class Builder:
    """Takes statements in order; ``finish`` checks that all is closed and fills the groups in."""

    def __init__(self) -> None:
        self.tree = Tree()
        self.groups = Groups()
        self.warnings: list[str] = []
        self.errors: list[ConfigError] = []
        self.frames: list[Frame] = [Frame(Role.FILTER)]
        self.level = DEFAULT
        self.order = 0
        self._conditional: dict[str, Assignment] = {}

    # -- what the readers call -------------------------------------------------------------------------------------

    def take(self, one: Statement) -> None:
        """One statement other than an include. Raises ConfigError when reading on makes no sense."""
        if self.in_group:
            self.groups.collect(one)
            return
        match one.kind:
            case Kind.OPEN:
                self._open(one)
            case Kind.CLOSE:
                if len(self.frames) == 1:
                    raise self.fatal(one, "Unexpected '}'")
                self.frames.pop()
            case Kind.GROUP:
                if len(self.frames) > 1:
                    raise self.fatal(one, "groups must defined at top-level, not under filters")
                self.groups.open(one)
            case Kind.USE_GROUP:
                self._use_group(one)
            case Kind.WARN:
                self.warnings.append(f"Configuration file {one.file} line {one.line}: {one.value}")
            case _:
                self._assign(one)

    def take_all(self, statements: Iterable[Statement]) -> None:
        for one in statements:
            self.take(one)

    @property
    def depth(self) -> int:
        """Open braces; 1 at top level."""
        return len(self.frames) + self.groups.depth

    @property
    def in_group(self) -> bool:
        return self.groups.start is not None

    def type_of(self, one: Statement) -> Type | None:
        """The type of the setting a statement means at this place, if it is a known one."""
        frame = self.frames[-1]
        if self.in_group or frame.role not in (Role.FILTER, Role.CONNECTION):
            return None
        spec, _, _ = meant(frame.path, one.key)
        return spec.type if spec else None

    def finish(self, redirects: Mapping[str, str]) -> None:
        """After the last file: groups. ``redirects``: label → the group to use instead. Raises ConfigError."""
        self.check_closed(1)
        self.groups.check_redirects(redirects)
        self.level = GROUP
        for use in self.groups.uses:
            self.frames.append(use.frame)
            try:
                self.take_all(self.groups.body(use, redirects))
            except ConfigError as error:
                self.note(error)
            self.frames.pop()

    def check_closed(self, depth: int) -> None:
        """That no brace above ``depth`` is open. Raises ConfigError naming where it was opened."""
        if self.depth > depth:
            open_at = self.groups.start or self.frames[-1]
            file, line = open_at.file, open_at.line
            raise ConfigError(f"Missing '}}' (section started at {file}:{line})", file=file, line=line)

    def raise_errors(self) -> None:
        """Raise the first collected error, the others as its notes."""
        if not self.errors:
            return
        first, others = self.errors[0], self.errors[1:]
        for error in others:
            first.add_note(str(error))
        raise first

    def fatal(self, one: Statement, why: str, key: str = "") -> ConfigError:
        return ConfigError(why, file=one.file, line=one.line, key=key)

    # -- sections --------------------------------------------------------------------------------------------------

    def _open(self, one: Statement) -> None:
        if len(self.frames) > MAX_DEPTH:
            raise self.fatal(one, f"Sections nest too deep (at most {MAX_DEPTH})")
        frame = self.frames[-1]
        self._used(frame)
        try:
            made = self._frame_for(frame, one)
        except ConfigError as error:
            self.note(error)
            made = self._inner(frame, one, Role.IGNORED)
        except ValueError as error:
            self.note(self.fatal(one, str(error), one.key))
            made = self._inner(frame, one, Role.IGNORED)
        self.frames.append(made)

    def _used(self, frame: Frame) -> None:
        """Something stands inside this section."""
        if frame.error is not None and frame.error not in self.errors:
            self.note(frame.error)

    def _frame_for(self, frame: Frame, one: Statement) -> Frame:
        key, name = one.key, one.value
        if frame.role is Role.IGNORED:
            return self._inner(frame, one, Role.IGNORED)
        if frame.role is Role.LIST:
            raise self.fatal(one, f"{key} {{ .. }} not allowed inside the list {frame.label}")
        if frame.role is Role.LOGIN and key != "inet_listener":
            self._passed_over(one, f"{key} {name} in service {frame.label}")
            return self._inner(frame, one, Role.IGNORED)
        if key in registry.CONNECTION_FILTERS:
            return self._connection(frame, one)
        if key == "dict" and not name:  # Dovecot 2.3's own files bring one that holds nothing
            missing = self.fatal(one, "dict { } is missing section name (write dict NAME {)", key)
            return Frame(Role.IGNORED, file=one.file, line=one.line, error=missing)
        if key in LIST_FILTERS:
            return self._list_filter(frame, one)
        if key in NAMED_FILTERS:
            if name:
                raise self.fatal(one, f"{key} {{ }} must not have a section name", key)
            return self._inner(frame, one, Role.FILTER, path=(*frame.path, (key, "")))
        spec, _ = self._spec(frame, one)
        if spec is None:
            return Frame(Role.IGNORED, file=one.file, line=one.line, error=unknown.foreign_section(one))
        if spec.type not in LISTS:
            raise self.fatal(one, f"Setting {key} cannot be used as a section (write {key} = value)", key)
        if name:
            raise self.fatal(one, f"Setting {key} cannot have a value for the section", key)
        self._check_place(frame, one, spec)
        return self._inner(frame, one, Role.LIST, label=key, spec=spec)

    def _inner(
        self,
        frame: Frame,
        one: Statement,
        role: Role,
        *,
        path: Path | None = None,
        conditions: tuple[Conditions, ...] | None = None,
        label: str = "",
        spec: Spec | None = None,
    ) -> Frame:
        return Frame(
            role,
            frame.path if path is None else path,
            conditions or frame.conditions,
            one.file,
            one.line,
            label,
            spec,
        )

    def _connection(self, frame: Frame, one: Statement) -> Frame:
        if not one.value:
            raise self.fatal(one, f"{one.key} {{ }} is missing section name", one.key)
        if frame.path:
            inside = frame.path[-1][0]
            raise self.fatal(
                one, f"{inside} {{ {one.key} {{ .. }} }} not allowed (use {one.key} {{ {inside} {{ .. }} }} instead)"
            )
        made = tuple(inner for outer in frame.conditions for inner in narrowed(outer, one.key, one.value))
        return self._inner(frame, one, Role.CONNECTION, conditions=made)

    def _list_filter(self, frame: Frame, one: Statement) -> Frame:
        key, name = one.key, one.value
        if not name:
            hint = f" (write {key} NAME {{)" if key in ("passdb", "userdb", "namespace") else ""
            raise self.fatal(one, f"{key} {{ }} is missing section name{hint}", key)
        if name.startswith("__"):
            raise self.fatal(one, f"{key} {name}: names that begin with __ are reserved", key)
        role, label = Role.FILTER, ""
        if key == "service":
            if name in LOGIN_SERVICES:
                role, label, name = Role.LOGIN, name, LOGIN_SERVICES[name]
            elif name in DOVECOT_SERVICES:
                self._passed_over(one, f"service {name}")
                return self._inner(frame, one, Role.IGNORED)
        outer = tuple(part for part, _ in frame.path)
        wanted = PARENTS.get(key, ())
        inline = bool(outer) and outer[-1] in INLINE.get(key, ())
        if outer != wanted and not inline:
            if outer and not wanted:
                raise self.fatal(one, f"{key} {{ .. }} not allowed under {outer[-1]} {{ .. }}", key)
            raise self.fatal(one, f"{key} {{ .. }} is allowed only under {wanted[-1]} NAME {{ .. }}", key)
        if frame.by_connection:
            self._check_conditions(one, frame, key)
        path = (*frame.path, (key, name))
        for conditions in frame.conditions:
            self.order += 1
            self.tree.blocks.append(Block(path, conditions, one.file, one.line, self.level, self.order))
        return self._inner(frame, one, role, path=path, label=label)

    def _check_conditions(self, one: Statement, frame: Frame, key: str) -> None:
        protocol_only = all(not (c.local or c.local_name or c.remote) for c in frame.conditions)
        if not (key in ("passdb", "userdb") and protocol_only):
            raise self.fatal(one, f"{key} {{ .. }} is not allowed inside a protocol, local or remote block", key)

    def _passed_over(self, one: Statement, what: str) -> None:
        self.warnings.append(
            f"Configuration file {one.file} line {one.line}: {what} has no counterpart in Roost; the section is ignored"
        )

    def _use_group(self, one: Statement) -> None:
        if self.frames[-1].role in (Role.IGNORED, Role.LOGIN):
            return
        if not one.value:
            raise self.fatal(one, f"@{one.key} needs the name of a group")
        self.groups.uses.append(Use(one.key, one.value, self.frames[-1], one.file, one.line))

    # -- settings --------------------------------------------------------------------------------------------------

    def _assign(self, one: Statement) -> None:
        frame = self.frames[-1]
        self._used(frame)
        if frame.role is Role.IGNORED:
            return
        try:
            if frame.role is Role.LOGIN:
                self._login_setting(one, frame)
            elif frame.role is Role.LIST:
                self._member(one, frame)
            else:
                self._setting(one, frame)
        except ConfigError as error:
            self.note(error)
        except ValueError as error:
            self.note(self.fatal(one, str(error), one.key))

    def _login_setting(self, one: Statement, frame: Frame) -> None:
        self.warnings.append(
            f"Configuration file {one.file} line {one.line}: {one.key} of service {frame.label} has no effect: "
            f"Roost's {frame.path[-1][1]} processes do the login; ignored"
        )

    def _member(self, one: Statement, frame: Frame) -> None:
        spec = frame.spec
        assert spec is not None
        if spec.type is STRLIST:
            self._add(one, frame, spec, Op.ADD, one.key, one.value)
            return
        op = Op.ADD if parse_bool(one.value) else Op.REMOVE
        self._add(one, frame, spec, op, one.key, one.value)

    def _setting(self, one: Statement, frame: Frame) -> None:
        key = one.key
        spec, convert = self._spec(frame, one)
        if spec is None:
            if key in LIST_FILTERS:
                raise self.fatal(one, f"Setting is a named list filter, use '{key} NAME {{'", key)
            if key in NAMED_FILTERS:
                raise self.fatal(one, f"Setting is a named filter, use '{key} {{'", key)
            if key in registry.CONNECTION_FILTERS:
                raise self.fatal(one, f"Setting is a filter, use '{key} VALUE {{'", key)
            if key in IGNORED:
                why = f"{key} has no effect in Roost ({IGNORED[key]}); ignored"
                self.warnings.append(f"Configuration file {one.file} line {one.line}: {why}")
                return
            raise unknown.setting_error(one, frame.path)
        value = convert(one.value) if convert else one.value
        self._check_place(frame, one, spec)
        if spec.key in VERSIONS:
            self._check_version(one, spec, value)
        if spec.type is STRLIST and (value or one.quoted):
            raise self.fatal(one, f"Setting is a string list, use '{key} {{'", key)
        if one.kind is Kind.SET_HEREDOC and spec.type in (BOOLLIST, NETS, ENUM, Type.FILE):
            raise self.fatal(one, f"A heredoc is not possible for this setting ({spec.type.value})", key)
        if spec.type is Type.FILE and value.startswith("inline:"):
            raise self.fatal(one, "inline: is not possible: name a file, which the process that needs it reads", key)
        if not one.quoted and f"$SET:{key}" in value.split(" "):
            value = self._with_previous(key, spec, value, frame)
        self._add(one, frame, spec, Op.SET, "", value)

    def _with_previous(self, key: str, spec: Spec, value: str, frame: Frame) -> str:
        """``x = $SET:x more``: the value so far, at once (the idiom to append)."""
        before = self.tree.text(spec, Scope(frame.path, frame.conditions[0]))
        return " ".join(before if token == f"$SET:{key}" else token for token in value.split(" ") if token)

    def _spec(self, frame: Frame, one: Statement) -> tuple[Spec | None, Callable[[str], str] | None]:
        """The setting meant by a key at this place, and how an older value is written now."""
        spec, renamed, name = meant(frame.path, one.key)
        if spec and renamed:
            self.warnings.append(f"Obsolete setting in {one.file}:{one.line}: {name} has been renamed to {spec.key}")
        return spec, renamed.convert if renamed else None

    def _check_place(self, frame: Frame, one: Statement, spec: Spec) -> None:
        why = why_not_here(frame, spec)
        if why:
            raise self.fatal(one, why, one.key)

    def _check_version(self, one: Statement, spec: Spec, value: str) -> None:
        for earlier in self.tree.assignments.get(spec.key, ()):
            if earlier.text != value:
                raise self.fatal(one, f"{spec.key} value can't be changed once set", spec.key)

    def _add(self, one: Statement, frame: Frame, spec: Spec, op: Op, item: str, value: str) -> None:
        path = remaining(frame.path, spec)
        shown = one.written or value
        if one.quoted and not one.written and "\n" not in value:
            shown = quote(value) if spec.type in LISTS else written(value)
        for conditions in frame.conditions:
            self.order += 1
            if self.order > MAX_ASSIGNMENTS:
                raise self.fatal(one, f"The configuration is too large (more than {MAX_ASSIGNMENTS} settings)")
            made = Assignment(
                spec.key,
                op,
                item,
                value,
                shown,
                one.quoted,
                one.file,
                one.line,
                self.level,
                self.order,
                path,
                conditions,
            )
            if self.level == FILE and not path:
                self._warn_of_order(made, one.key)
            self.tree.add(made)

    def _warn_of_order(self, made: Assignment, typed: str) -> None:
        if made.conditions != ALWAYS:
            self._conditional.setdefault(made.key, made)
        elif earlier := self._conditional.get(made.key):
            self.warnings.append(
                f"{made.file} line {made.line}: Global setting {typed} won't change the setting inside an earlier "
                f"filter at {earlier.file} line {earlier.line}"
            )

    def note(self, error: ConfigError) -> None:
        self.errors.append(error)
        if len(self.errors) >= MAX_ERRORS:
            self.raise_errors()
