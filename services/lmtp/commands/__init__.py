"""COMMANDS: every verb of the LMTP room, by its wire name (RFC 2033 §4; EHLO and HELO only to be refused)."""

from __future__ import annotations

from collections.abc import Mapping

from services.lmtp.command import Command
from services.lmtp.commands.bdat import BDAT
from services.lmtp.commands.data import DATA
from services.lmtp.commands.helo import EHLO, HELO
from services.lmtp.commands.help import HELP
from services.lmtp.commands.lhlo import LHLO
from services.lmtp.commands.mail import MAIL
from services.lmtp.commands.noop import NOOP
from services.lmtp.commands.quit import QUIT
from services.lmtp.commands.rcpt import RCPT
from services.lmtp.commands.rset import RSET
from services.lmtp.commands.starttls import STARTTLS
from services.lmtp.commands.vrfy import VRFY

COMMANDS: Mapping[bytes, Command] = {
    row.name: row for row in (LHLO, EHLO, HELO, STARTTLS, MAIL, RCPT, DATA, BDAT, RSET, NOOP, VRFY, HELP, QUIT)
}
