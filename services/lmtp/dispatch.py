"""Line → verb → row → answer; what went wrong becomes a reply by the table in ``errors``."""

from __future__ import annotations

import re

from roost.errors import Corrupt, Malformed, RoostError, Unavailable
from roost.smtp.replies import REPLIES
from services.lmtp.command import Answer, Then
from services.lmtp.commands import COMMANDS
from services.lmtp.errors import error_wire
from services.lmtp.session import Session

# Other protocols' first words: answered once and closed, so that no browser or scanner can go on (or be used to).
_FOREIGN = re.compile(
    rb"(?:GET|POST|PUT|HEAD|DELETE|OPTIONS|CONNECT|PATCH|TRACE|PRI) \S+"  # HTTP
    rb"|(?:Host|User-Agent|Accept|Content-Length|Connection): "
    rb"|[A-Za-z0-9.]{1,20} (?:CAPABILITY|LOGIN|AUTHENTICATE|STARTTLS|LOGOUT|NOOP|ID|SELECT)(?: |$)"  # IMAP
    rb"|\x16\x03[\x00-\x04]"  # a TLS handshake
    rb"|SSH-\d|VERSION\t\d|PROXY TCP|\x00",
    re.IGNORECASE,
)


async def answer(session: Session, line: bytes) -> Answer:
    """Run one command line. Never raises; counts the client's mistakes and ends it at too many."""
    verb, _, argument = line.partition(b" ")
    command = COMMANDS.get(verb) or COMMANDS.get(verb.upper())
    try:
        if command is None:
            if _FOREIGN.match(line):
                session.shared.log.info(f"Not an LMTP client: {line[:60]!r}")
                return Answer(REPLIES["NOT_LMTP"].wire, Then.CLOSE)
            raise Malformed("Unknown command", code="UNKNOWN_COMMAND")
        if not command.states & session.state:
            raise Malformed(command.otherwise, code="BAD_SEQUENCE")
        return await command.run(session, argument)
    except Exception as error:
        return failed(session, error)


def failed(session: Session, error: Exception) -> Answer:
    """The answer to a command that raised ``error``."""
    shared = session.shared
    if isinstance(error, Malformed):
        session.errors += 1
        if session.errors >= shared.settings.lmtp_max_errors:
            shared.log.info(f"Too many errors, last: {error}")
            return Answer(error_wire(error) + REPLIES["TOO_MANY_ERRORS"].wire, Then.CLOSE)
    elif isinstance(error, Unavailable | Corrupt):
        shared.complain(session.id, str(error))
    elif not isinstance(error, RoostError):
        shared.log.exception(f"<{session.id}>: internal error", exc=error)
    return Answer(error_wire(error, verbose=shared.settings.lmtp_verbose_replies))
