"""doveadm pw: make and check stored passwords. Needs no server and no configuration."""

from __future__ import annotations

import os

from roost.errors import Refused, Unavailable
from services.doveadm import schemes
from services.doveadm.arguments import Arguments, Usage
from services.doveadm.command import FLAG, NUMBER, TEXT, Command, Option
from services.doveadm.context import Context

DEFAULT_SCHEME = "CRYPT"
SUFFIXES = {"B64": "BASE64", "BASE64": "BASE64", "HEX": "HEX"}


def run(context: Context, arguments: Arguments) -> int:
    known = schemes.load()
    if arguments.flag("list"):
        context.line(" ".join(known.strong))
        return 0
    if arguments.given("test-hash"):
        return _test(context, arguments, known)
    name, dot, suffix = arguments.text("scheme", DEFAULT_SCHEME).upper().partition(".")
    scheme = known.all.get(name)
    if scheme is None or (dot and suffix not in SUFFIXES):
        raise Unavailable(f"Unknown scheme: {arguments.text('scheme')} (doveadm pw -l lists them)")
    if name not in known.strong:
        context.error(f"{name} is a weak scheme: it is accepted at login only with auth_allow_weak_schemes = yes")
    if scheme.for_user is not None:
        if not arguments.given("user"):
            raise Usage(f"{name} is tied to the user's name: give it with -u")
        scheme = scheme.for_user(arguments.text("user"))
    password = _password(context, arguments, again="Retype new password: ", prompt="Enter new password: ")
    encoding = known.encoding[SUFFIXES[suffix]] if dot else None
    text = known.write(scheme, scheme.generate(password, arguments.number("rounds"), os.urandom), encoding)
    if arguments.flag("reverse-verify"):
        if not known.parse(text, known.all, name).of_user(arguments.text("user")).verify(password):
            raise Unavailable("reverse password verification check failed: Password mismatch")
        text += " (verified)"
    context.line(text)
    return 0


def _test(context: Context, arguments: Arguments, known: schemes.Schemes) -> int:
    text = arguments.text("test-hash")
    if not text.startswith("{"):
        raise Usage("-t needs a hash with its {SCHEME} prefix")
    stored = known.parse(text, known.all, DEFAULT_SCHEME)
    if stored.scheme.for_user is not None and not arguments.given("user"):
        raise Usage(f"{stored.scheme.name} is tied to the user's name: give it with -u")
    stored = stored.of_user(arguments.text("user"))
    password = _password(context, arguments, again="", prompt="Enter password to verify: ")
    if not stored.verify(password):
        raise Unavailable("reverse password verification check failed: Password mismatch")
    context.line(f"{text} (verified)")
    return 0


def _password(context: Context, arguments: Arguments, *, prompt: str, again: str) -> bytes:
    if arguments.given("plaintext"):
        return arguments.text("plaintext").encode("utf-8", "surrogateescape")
    password = context.password(prompt, again=again)
    if b"\0" in password:
        raise Refused("A password cannot have a NUL")
    return password


COMMAND = Command(
    "pw",
    "make or check a stored password",
    run,
    options=(
        Option("l", "list", FLAG, "list the schemes"),
        Option(
            "p", "plaintext", TEXT, "the password; without it you are asked (others may read command lines)", "pass"
        ),
        Option("r", "rounds", NUMBER, "rounds or cost of the scheme", "rounds"),
        Option("s", "scheme", TEXT, "scheme, with .B64 or .HEX for another encoding (default CRYPT)", "scheme"),
        Option("t", "test-hash", TEXT, "check the password against this stored one", "hash"),
        Option("u", "user", TEXT, "user name, for schemes that are tied to it", "user"),
        Option("V", "reverse-verify", FLAG, "verify what was made"),
    ),
)
