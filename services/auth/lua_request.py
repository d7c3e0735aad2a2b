"""The members of a script's request object: the query's variables under the names of Dovecot 2.4."""

from __future__ import annotations

from collections.abc import Mapping

from roost.auth.api import Query

# parameter of the client's line → the members it is
MEMBERS: Mapping[str, str] = {
    "lip": "local_ip",
    "rip": "remote_ip",
    "lport": "local_port",
    "rport": "remote_port",
    "real_lip": "real_local_ip",
    "real_rip": "real_remote_ip",
    "real_lport": "real_local_port",
    "real_rport": "real_remote_port",
    "session": "session",
    "session_pid": "session_pid",
    "client_pid": "client_pid",
    "local_name": "local_name",
    "client_id": "client_id",
    "ssl_ja3_hash": "ssl_ja3_hash",
    "ssl_client_cert_fp": "ssl_client_cert_fp",
    "ssl_client_cert_pubkey_fp": "ssl_client_cert_pubkey_fp",
}


def request_variables(query: Query, password: str | None, number: str) -> dict[str, str | None]:
    """``password`` is the one given, None in lookups; ``number`` the database's."""
    user, original = query.user, query.original_user or query.user
    found: dict[str, str | None] = {
        "user": user,
        "owner_user": user,
        "original_user": original,
        "auth_user": query.master_user or original,
        "id": number,
        "session_pid": "",
        "secured": "",
        "cert": "",
        "local_port": "0",
        "remote_port": "0",
    }
    for name, value in query.parameters.items():
        if value and name in MEMBERS:
            found[MEMBERS[name]] = value
        elif name == "secured":
            found["secured"] = "" if value == "no" else "TLS" if value.lower() == "tls" else "secured"
        elif name == "valid-client-cert":
            found["cert"] = "valid"
    for name in ("local_ip", "remote_ip", "local_port", "remote_port"):
        if name in found:
            found.setdefault("real_" + name, found[name])
    if query.service:
        found["protocol"] = query.service
    if query.mechanism:
        found["mechanism"] = query.mechanism.upper()
    if query.login_user:
        found["login_user"] = query.login_user
    if query.master_user:
        found["master_user"] = query.master_user
    if password is not None:
        found["password"] = password
    if "@" in user:
        found["domain_first"] = user.split("@", 1)[1]
        found["domain_last"] = user.rsplit("@", 1)[1]
    return found
