"""What waits for one worker that does not keep up: bounded, the same hint only once. Pure."""

from __future__ import annotations

from roost.ipc.notify import RESYNC_LINE, Hint, hint_line, nobody_line, wanted_line


class Outbox:
    """Hints of one user and mailbox become one. Past ``limit`` entries everything is dropped for a single RESYNC."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._hints: dict[tuple[str, str], Hint] = {}
        self._states: dict[str, bool] = {}  # user → somebody watches (WANTED), nobody does (NOBODY)
        self.overflowed = False

    def __len__(self) -> int:
        return len(self._hints) + len(self._states)

    def hint(self, hint: Hint) -> None:
        if self.overflowed:
            return
        key = (hint.user, hint.mailbox)
        old = self._hints.get(key)
        self._hints[key] = old.merged(hint) if old is not None else hint
        self._check()

    def state(self, user: str, wanted: bool) -> None:
        if self.overflowed:
            return
        self._states[user] = wanted
        self._check()

    def _check(self) -> None:
        if len(self) > self._limit:
            self.overflowed = True
            self._hints.clear()
            self._states.clear()

    def take(self) -> bytes:
        """All lines to send now; empties the box."""
        if self.overflowed:
            self.overflowed = False
            return RESYNC_LINE
        lines = [wanted_line(user) if wanted else nobody_line(user) for user, wanted in self._states.items()]
        lines += [hint_line(hint) for hint in self._hints.values()]
        self._states.clear()
        self._hints.clear()
        return b"".join(lines)
