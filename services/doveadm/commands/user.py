"""doveadm user: where users live (userdb), or which users there are (a mask)."""

from __future__ import annotations

import os
from collections.abc import Mapping

from roost.errors import RoostError
from services.doveadm.arguments import Arguments, Usage
from services.doveadm.auth_peer import Looked, LookupPeer, info_octets
from services.doveadm.command import FLAG, LIST, TEXT, Command, Option, Positional
from services.doveadm.context import Context

FIRST_FIELDS = ("uid", "gid", "home", "mail_path")


def run(context: Context, arguments: Arguments) -> int:
    parameters = info_octets(arguments.list("auth-info"))
    if arguments.given("expand-field") and (arguments.given("field") or arguments.flag("userdb-only")):
        raise Usage("-e does not go together with -f or -u")
    path = context.socket_path(arguments.text("socket-path"), _socket(context))
    status = os.EX_OK
    names: list[str] = []
    found: dict[str, Looked] = {}
    with LookupPeer(path, context.timeout_secs) as peer:
        assert isinstance(peer, LookupPeer)
        masks = arguments.list("user-mask")
        if all("*" in mask or "?" in mask for mask in masks):
            for mask in masks:
                names += peer.users("" if mask == "*" else mask, parameters)
            return _list(context, names)
        for name in masks:
            if "*" in name or "?" in name:
                raise Usage("masks and names cannot be mixed")
            found[name] = peer.look_up(b"USER", name, parameters)
    if context.formatter == "json":
        return _json(context, found)
    for number, (name, looked) in enumerate(found.items()):
        if number:
            context.line()
        if looked.user is None:
            if not (arguments.given("field") or arguments.given("expand-field") or arguments.flag("userdb-only")):
                context.line("field\tvalue\n")
            context.out.flush()
            context.error(f"userdb lookup: user {name} doesn't exist")
            status = os.EX_NOUSER
        else:
            _show(context, arguments, name, looked)
    return status


def _show(context: Context, arguments: Arguments, name: str, looked: Looked) -> None:
    fields = _complete(context, looked)
    if arguments.given("field"):
        if arguments.text("field") in fields:
            context.line(fields[arguments.text("field")])
    elif arguments.given("expand-field"):
        from roost.settings.variables import expand

        assert looked.user is not None
        variables = {**{f"userdb:{key}": value for key, value in fields.items()}, **fields}
        local, _, domain = looked.user.partition("@")
        variables |= {"user": looked.user, "username": local, "domain": domain}
        context.line(expand(arguments.text("expand-field"), variables))
    elif arguments.flag("userdb-only"):
        context.line(f"userdb: {name}")
        for key, value in {"user": looked.user, **looked.fields}.items():
            context.line(f"  {key:<10}: {value}")
    else:
        context.line("field\tvalue")
        for key, value in fields.items():
            context.line(f"{key}\t{value}")


def _complete(context: Context, looked: Looked) -> dict[str, str]:
    """The userdb's fields and what the configuration adds: the home of users whose entry names none."""
    from roost.settings.schema.mail import MailSettings
    from roost.settings.variables import expand_path

    fields = dict(looked.fields)
    if "home" not in fields and looked.user is not None:
        mail_home = context.config.section(MailSettings).mail_home
        try:
            fields["home"] = expand_path(mail_home, {**fields, "user": looked.user})
        except RoostError as error:
            context.error(f"mail_home: {error}")
    ordered = {key: fields.pop(key) for key in FIRST_FIELDS if key in fields}
    return {**ordered, **fields}


def _list(context: Context, names: list[str]) -> int:
    if context.formatter == "json":
        import json

        context.out.write(json.dumps({"userList": names}, separators=(",", ":")))
        return os.EX_OK
    for name in names:
        context.line(name)
    return os.EX_OK


def _json(context: Context, found: Mapping[str, Looked]) -> int:
    import json

    missing = [name for name, looked in found.items() if looked.user is None]
    shown = {
        name: {"error": f"userdb lookup: user {name} doesn't exist"} if name in missing else _complete(context, looked)
        for name, looked in found.items()
    }
    context.out.write(json.dumps(shown, separators=(",", ":")))
    return os.EX_NOUSER if missing else os.EX_OK


def _socket(context: Context) -> str:
    from roost.settings.schema.auth import AuthSettings

    return context.config.section(AuthSettings).auth_socket_path


COMMAND = Command(
    "user",
    "look users up in the userdbs, or list them",
    run,
    options=(
        Option("a", "socket-path", TEXT, "socket to ask (default: auth_socket_path)", "path"),
        Option("e", "expand-field", TEXT, "print this text with its %{variables} put in", "text"),
        Option("f", "field", TEXT, "print only this field's value", "field"),
        Option("u", "userdb-only", FLAG, "only what the userdbs say, without the configuration's part"),
        Option("x", "auth-info", LIST, "say more of the client: service rip lip …", "key=value"),
    ),
    positionals=(Positional("user-mask", many=True),),
    formatter="tab",
)
