"""What a request's TLS connection has to do with its authentication: channel binding, and the client's certificate.

The client (our rooms, an MTA) has the TLS connection; it tells of it in parameters of AUTH. Only what comes over a
socket of the room is believed, so those parameters are as good as the rights of the sockets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from roost.ipc import auth as wire
from roost.ipc.auth_binding import BINDING_KINDS_PARAMETER
from roost.sasl.base import Surroundings
from roost.settings.schema.auth import AuthSettings

BINDING_FLAG = "channel-binding"
KINDS = frozenset({"tls-exporter", "tls-server-end-point", "tls-unique"})
NO_CERTIFICATE = "Client didn't present valid SSL certificate"
NO_NAME = "SSL certificate didn't contain username"


def surroundings_of(
    room: Surroundings, mechanisms: Mapping[str, frozenset[str]], parameters: wire.Parameters, minor: int
) -> Surroundings:
    """The room's surroundings with those of one connection.

    Our rooms name the kinds they can answer; of another client that knows the question (minor ≥ 3) and says that its
    connection has TLS, any kind is asked.
    """
    plus = frozenset(name for name, flags in mechanisms.items() if BINDING_FLAG in flags)
    if not plus:
        return room
    given = parameters.get(BINDING_KINDS_PARAMETER.decode())
    if given is not None:
        kinds = KINDS & set(given.split(","))
    elif minor >= wire.MINOR_CHANNEL_BINDING and parameters.get("secured") == "tls":
        kinds = KINDS
    else:
        return room
    return replace(room, bindings=kinds, plus=plus) if kinds else room


def shown_to(mechanisms: Mapping[str, frozenset[str]], minor: int) -> Mapping[str, frozenset[str]]:
    """The mechanisms that a client of this minor version is told of: older ones cannot bind."""
    if minor >= wire.MINOR_CHANNEL_BINDING:
        return mechanisms
    return {name: flags for name, flags in mechanisms.items() if BINDING_FLAG not in flags}


def refusal(settings: AuthSettings, parameters: wire.Parameters) -> str:
    """Why nobody may authenticate on this connection, or ""."""
    if settings.auth_ssl_require_client_cert and "valid-client-cert" not in parameters:
        return NO_CERTIFICATE
    if settings.auth_ssl_username_from_cert and not certified_name(parameters):
        return NO_NAME
    return ""


def certified_name(parameters: wire.Parameters) -> str:
    """Who the client is by its verified certificate; "" when nobody says."""
    return parameters.get("cert_username", "") if "valid-client-cert" in parameters else ""
