"""SASL mechanisms, the server's side, as pure state machines (RFC 4422): octets in, turns out.

``MECHANISMS`` is the table of those that exist; ``base`` says what a mechanism may ask of its caller. A mechanism never
looks anything up and never waits: it turns what the client sends into a request the authentication room can answer.
The setting ``auth_mechanisms`` knows which mechanisms of other servers are left out, and why.
"""

from __future__ import annotations

from collections.abc import Mapping

from roost.sasl.anonymous import ANONYMOUS
from roost.sasl.base import Mechanism
from roost.sasl.cram_md5 import CRAM_MD5
from roost.sasl.digest_md5 import DIGEST_MD5
from roost.sasl.external import EXTERNAL
from roost.sasl.login import LOGIN
from roost.sasl.oauth import OAUTHBEARER, XOAUTH2
from roost.sasl.plain import PLAIN
from roost.sasl.scram import SCRAM_SHA_1, SCRAM_SHA_1_PLUS, SCRAM_SHA_256, SCRAM_SHA_256_PLUS

MECHANISMS: Mapping[str, Mechanism] = {
    mechanism.name: mechanism
    for mechanism in (
        PLAIN,
        LOGIN,
        SCRAM_SHA_256_PLUS,
        SCRAM_SHA_256,
        SCRAM_SHA_1_PLUS,
        SCRAM_SHA_1,
        OAUTHBEARER,
        XOAUTH2,
        EXTERNAL,
        CRAM_MD5,
        DIGEST_MD5,
        ANONYMOUS,
    )
}
