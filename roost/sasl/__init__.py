"""SASL mechanisms, the server's side, as pure state machines (RFC 4422): octets in, turns out.

``MECHANISMS`` is the table of those that exist; ``base`` says what a mechanism may ask of its caller. A mechanism never
looks anything up and never waits: it turns what the client sends into a request the authentication room can answer.
Mechanisms that Roost leaves out (channel binding, GSSAPI, NTLM, OTP) are not in the table.
"""

from __future__ import annotations

from collections.abc import Mapping

from roost.sasl.anonymous import ANONYMOUS
from roost.sasl.base import Mechanism
from roost.sasl.cram_md5 import CRAM_MD5
from roost.sasl.login import LOGIN
from roost.sasl.plain import PLAIN
from roost.sasl.scram import SCRAM_SHA_1, SCRAM_SHA_256

MECHANISMS: Mapping[str, Mechanism] = {
    mechanism.name: mechanism for mechanism in (PLAIN, LOGIN, SCRAM_SHA_1, SCRAM_SHA_256, CRAM_MD5, ANONYMOUS)
}
