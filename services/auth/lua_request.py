"""The members of a script's request object: the query's variables under the names of Dovecot 2.4."""

from __future__ import annotations

from collections.abc import Mapping

from roost.auth.api import Query
from roost.lua.api.auth import members

# member: the parameters of the client's line that may say it, the first that does
PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "local_ip": ("lip",),
    "remote_ip": ("rip",),
    "local_port": ("lport",),
    "remote_port": ("rport",),
    "real_local_ip": ("real_lip", "lip"),
    "real_remote_ip": ("real_rip", "rip"),
    "real_local_port": ("real_lport", "lport"),
    "real_remote_port": ("real_rport", "rport"),
    "session": ("session",),
    "session_pid": ("session_pid", "session-pid"),
    "client_pid": ("client_pid", "cpid"),
    "local_name": ("local_name",),
    "client_id": ("client_id",),
    "ssl_ja3_hash": ("ssl_ja3_hash",),
    "ssl_client_cert_fp": ("ssl_client_cert_fp",),
    "ssl_client_cert_pubkey_fp": ("ssl_client_cert_pubkey_fp",),
}


def request_variables(query: Query, password: str | None, number: str) -> dict[str, str | None]:
    """``password`` is the one given, None in lookups; ``number`` the database's."""
    parameters = query.parameters
    found: dict[str, str | None] = {
        "user": query.user,
        "protocol": query.service or None,
        "mechanism": query.mechanism.upper() or None,
        "original_user": query.original_user or query.user,
        "auth_user": query.master_user or query.original_user or query.user,
        "login_user": query.login_user or None,
        "master_user": query.master_user or None,
        "id": number,
        "password": password,
    }
    for name, sources in PARAMETERS.items():
        for source in sources:
            value = parameters.get(source)
            if value:
                found[name] = value
                break
    if "secured" in parameters:
        found["secured"] = "TLS" if (parameters["secured"] or "").lower() == "tls" else "secured"
    if "valid-client-cert" in parameters:
        found["cert"] = "valid"
    return members(found)
