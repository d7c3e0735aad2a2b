"""The extra fields that turn a right password down, or hold the answer back.

``fail``, ``allow_nets`` and ``allow_real_nets``, ``check_client_fp`` (of the certificate or its key),
``check_client_cert_fp``, ``check_client_pubkey_fp``, ``delay_until``. Each is of one database, and checked with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from roost.auth.api import Query
from services.auth import nets

NETWORK_FIELDS = ("allow_nets", "allow_real_nets")
CERT_FP, PUBKEY_FP = "ssl_client_cert_fp", "ssl_client_cert_pubkey_fp"
# Field → the parameters of AUTH, one of which must be what the field says.
FINGERPRINT_FIELDS: Mapping[str, tuple[str, ...]] = {
    "check_client_fp": (CERT_FP, PUBKEY_FP),
    "check_client_cert_fp": (CERT_FP,),
    "check_client_pubkey_fp": (PUBKEY_FP,),
}
DELAY_UNTIL = "delay_until"
MAX_DELAY_SECS = 300
FIELDS = frozenset({"fail", DELAY_UNTIL, *NETWORK_FIELDS, *FINGERPRINT_FIELDS})


def refusal(query: Query, fields: Mapping[str, str]) -> str:
    """ "" when the client may log in, else the line for the log."""
    if fields.keys().isdisjoint(FIELDS):
        return ""
    if "fail" in fields:
        return "fail field is set"
    given = query.parameters
    for name in NETWORK_FIELDS:
        if name in fields:
            address = (given.get("real_rip") if name == "allow_real_nets" else None) or given.get("rip", "")
            why = nets.refusal(name, fields[name], address)
            if why:
                return why
    for name, sources in FINGERPRINT_FIELDS.items():
        if name in fields:
            wanted = {one.lower() for one in fields[name].replace(",", " ").split()}
            if not any(given.get(source, "").lower() in wanted for source in sources):
                return f"{name} check failed: {fields[name][:200]} does not match client certificate"
    return ""


def release_time(text: str, now: float, random: Callable[[int], int]) -> float:
    """When an answer with ``delay_until=<unix time>[+<at most so many seconds more, at random>]`` may go out.

    ``random(n)``: a number from 0 to n. Raises ValueError with the line for the log.
    """
    moment, _, spread = text.partition("+")
    if not (moment.isdigit() and (not spread or spread.isdigit()) and len(text) < 32) or (text.endswith("+")):
        raise ValueError(f"Invalid delay_until timestamp '{text[:64]}'")
    until = int(moment) + (random(int(spread)) if spread else 0)
    if until - now > MAX_DELAY_SECS:
        raise ValueError(f"delay_until timestamp {until} is too much in the future, failing")
    return float(until)
