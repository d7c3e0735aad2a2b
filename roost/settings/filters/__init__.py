"""The filters of ``%{variable | filter}``: one table. Each family has its file; all work on octets."""

from __future__ import annotations

from roost.settings.filters import choice, coding, digest, numbers, script, text, times
from roost.settings.filters.value import Filter

NO_CIPHER = "the encrypt and decrypt filters of Dovecot do not exist in Roost"

FILTERS: dict[str, Filter] = {
    "base64": Filter(coding.base64_, most=2, named=("pad", "url")),
    "benumber": Filter(numbers.benumber),
    "calculate": Filter(numbers.calculate, least=2, most=2),
    "concat": Filter(text.concat, least=1, most=100, source=True),
    "date": Filter(times.date, least=1, most=2, named=("tz",)),
    "decrypt": Filter(choice.literal, refused=NO_CIPHER),
    "default": Filter(choice.default, most=1, takes_missing=True),
    "domain": Filter(text.domain),
    "encrypt": Filter(choice.literal, refused=NO_CIPHER),
    "epoch": Filter(times.epoch, most=1, named=("unit",)),
    "escape": Filter(text.escape),
    "from_epoch": Filter(times.from_epoch, most=1, named=("unit",)),
    "hash": Filter(digest.hash_, least=1, most=1, named=("rounds", "salt")),
    "hex": Filter(numbers.hex_, most=1, named=("width",)),
    "hexlify": Filter(coding.hexlify, most=1, named=("width",)),
    "if": Filter(choice.if_, least=4, most=4, source=True, source_extra=1),
    "index": Filter(text.index, least=2, most=2),
    "iso8601": Filter(times.iso8601, most=1, named=("tz",)),
    "ldap_dn": Filter(text.ldap_dn),
    "lenumber": Filter(numbers.lenumber),
    "lfill": Filter(text.lfill, least=1, most=2),
    "list": Filter(text.list_, most=1, named=("sep",)),
    "literal": Filter(choice.literal, least=1, most=1, source=True, takes_missing=True),
    "lookup": Filter(choice.lookup, least=1, most=1, source=True, takes_missing=True),
    "lower": Filter(text.lower),
    "lua_call": Filter(script.lua, least=1, most=100, source=True),
    "lua_file": Filter(script.lua, least=2, most=100, source=True),
    "md5": Filter(digest.md5, most=2, named=("rounds", "salt")),
    "regexp": Filter(text.regexp, least=2, most=2),
    "reverse": Filter(text.reverse),
    "rfill": Filter(text.rfill, least=1, most=2),
    "safe": Filter(text.safe),
    "sha1": Filter(digest.sha1, most=2, named=("rounds", "salt")),
    "sha256": Filter(digest.sha256, most=2, named=("rounds", "salt")),
    "sha384": Filter(digest.sha384, most=2, named=("rounds", "salt")),
    "sha512": Filter(digest.sha512, most=2, named=("rounds", "salt")),
    "substr": Filter(text.substr, least=1, most=2),
    "switch": Filter(choice.switch, least=4, most=100, source=True, source_extra=1),
    "text": Filter(text.text),
    "truncate": Filter(numbers.truncate, most=1, named=("bits",)),
    "unbase64": Filter(coding.unbase64, most=2, named=("pad", "url")),
    "unhex": Filter(numbers.unhex),
    "unhexlify": Filter(coding.unhexlify),
    "upper": Filter(text.upper),
    "username": Filter(text.username),
}
"""name → Filter. ``encrypt`` and ``decrypt`` are named so that they are refused with their reason."""
