"""Password schemes: vectors made by other programs, our own round trips, and broken stored forms."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.errors import Refused
from services.auth import schemes
from services.auth.schemes import ALL_SCHEMES, SCHEMES, BadHash, SchemeUnavailable, libcrypt, parse, write
from services.auth.schemes.base import Encoding

# Made for the password "secret" by Dovecot 2.3.19's doveadm pw.
FOREIGN = [
    "{SHA1}5en6G6MezRroT3XKqkdPOmY/BfQ=",
    "{SHA}e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4",
    "{SSHA512}/TRyp3sZ3KAuzxk5f/YdJHyfe29BS72NBkPHO0GviAyJLNuS4sqyIlDB2gNK5MjmMUofKKUSczQZZuAcORChfKxrPV8=",
    "{BLF-CRYPT}$2y$05$hDhK2LCNWvgdMYln4yX9f.HgfWkFSTvatJMXi7znYTn4P7HEsSnWu",
    "{PLAIN}secret",
    "{SHA512}vSsar3708Jvp9Szi2NWZZ02Bqp1qRCFpbcTZPdBhnWgs5WtNZKnvCXdhztmeD2cmW192CF5bDufKRpayrW/isg==",
    "{CRYPT}$2y$05$Uvk/M2NByzksuEApZ5duieum15HJxyUrFvoDm1c2se9z7QTqw5wJu",
    "{SSHA}8ggi4Qa+rn/YDUQS/nfx4o9NCHc5d4wV",
    "{SHA512-CRYPT}$6$G0Y8MzOy7lwz5g/c$pEBziQ2fuL9Jtaclv8lqdPtwnF7JZCVLtPquY2sWByNskNaw8X4YXE.R9AjoiepIGdEGWeAITL9dQVcaTjogh.",
    "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$nyF4E351TCL7++lhS/tzcA$sL7Twnf3XhU27tegV1yUxeUfQ/UNz+SxwJQOl1h3NZU",
    "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$1xIBpgE+wHYgYf0oYNQUnw$0hw5lT8Um8mljwbxHC13xseTjJpBfshQuuGZq8tzaxY",
    "{SSHA256}zId9NrkFS0ZIZgcVXXd9FdpLSCzzBl9idyTINW1GalhaLLmV",
    "{PBKDF2}$1$.X6BoYUzgpLsXMMe$5000$6d26dba7bebe70047c192d99284d0b303a81aef5",
    "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
    "{SHA256.HEX}2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
    "{sha256.b64}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
    "{SHA256-CRYPT}$5$qwWClG9dOqFVTtA2$7xvNaihHVtE.kw.tLtDn07F4FjSXqxgMi2DyWic8h94",
    "{SCRAM-SHA-1}4096,1WIu6wVLuvCmjmPNkoO3VQ==,CWfbDQBbZ7DQAAs8jp5+msExZP8=,x6AUE6T6pG0fJeWifI8I5irzbeM=",
    "{SCRAM-SHA-256}4096,bVx4HTehZJkWoCoNn3hI1w==,EnRRmxx3O+75pnTj7oBs7obOz386zkzh/pwVzCpwT/g=,"
    "dn1HLCIcMOJlsPwXuqPyE2h2LBBsV0/rj7F5iezU3L4=",
    "{CRAM-MD5}cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b56",
    "{MD5-CRYPT}$1$xwFQKQOG$23AWLJkQeHhkKT1VEsHpH1",
    "$1$xwFQKQOG$23AWLJkQeHhkKT1VEsHpH1",
    "{DES-CRYPT}erz50QD3gv4Dw",
    "{CRYPT}erz50QD3gv4Dw",
    "{CRYPT}$1$xwFQKQOG$23AWLJkQeHhkKT1VEsHpH1",
    "{MD5}$1$ZZy/WF/n$ABTihArA9qb36Pz8ojnZS1",
    "{MD5}5ebe2294ecd0e0f08eab7690d2a6ee69",
    "{MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==",
    "{SMD5}VHo5XYI9AMD/qa0hwrx4EwzGOKc=",
    "{LDAP-MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==",
    "{LDAP-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69",
    "{PLAIN-MD5}5ebe2294ecd0e0f08eab7690d2a6ee69",
    "{PLAIN-MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==",
    "{HMAC-MD5}cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b56",
    "{PLAIN-TRUNC}8-secret",
    "{PLAIN-TRUNC}6-secret",
]
CHEAPEST = {"SHA512-CRYPT": 1000, "SHA256-CRYPT": 1000, "BLF-CRYPT": 4, "CRYPT": 4, "PBKDF2": 1, "ARGON2I": 1}
UNSALTED = {"PLAIN", "CLEAR", "CLEARTEXT", "SHA", "SHA1", "SHA256", "SHA512", "CRAM-MD5", "DIGEST-MD5"}
UNSALTED |= {"PLAIN-TRUNC", "LDAP-MD5", "PLAIN-MD5", "HMAC-MD5"}
CHEAPEST |= {"ARGON2ID": 1, "ARGON2": 1}


@pytest.mark.parametrize("stored", FOREIGN)
def test_hashes_made_elsewhere(stored: str) -> None:
    taken_apart = parse(stored, ALL_SCHEMES, "PLAIN")
    assert taken_apart.verify(b"secret")
    assert not taken_apart.verify(b"secreT")
    assert not taken_apart.verify(b"")


@pytest.mark.parametrize("name", sorted(ALL_SCHEMES))
def test_what_a_scheme_makes_it_verifies_and_no_two_salts_are_equal(name: str) -> None:
    scheme = ALL_SCHEMES[name]
    maker = scheme.for_user("u@r") if scheme.for_user is not None else scheme
    made = [write(scheme, maker.generate(b"p\xc3\xa4ss", CHEAPEST.get(name, 0), os.urandom)) for _ in range(2)]
    stored = parse(made[0], ALL_SCHEMES, "CRYPT")
    assert stored.scheme is scheme
    stored = stored.of_user("u@r")
    assert stored.verify(b"p\xc3\xa4ss")
    assert not stored.verify(b"pass")
    assert (made[0] != made[1]) == (name not in UNSALTED)


def test_truncated_passwords_count_as_far_as_they_are_kept() -> None:
    stored = parse("{PLAIN-TRUNC}6-secret", SCHEMES, "CRYPT")
    assert stored.verify(b"secret and more")
    assert not stored.verify(b"secre")
    assert not parse("{PLAIN-TRUNC}8-secret", SCHEMES, "CRYPT").verify(b"secretxx")
    for broken in ("secret", "-secret", "x-secret", "-6-secret", "9999999-secret"):
        with pytest.raises(BadHash):
            parse("{PLAIN-TRUNC}" + broken, SCHEMES, "CRYPT").verify(b"secret")


@pytest.mark.parametrize("stored", ["{CRYPT}erz50QD3gv4Dw", "{CRYPT}$1$xwFQKQOG$23AWLJkQeHhkKT1VEsHpH1"])
def test_crypt_is_strong_unless_weak_schemes_are_allowed(stored: str) -> None:
    with pytest.raises(BadHash):
        parse(stored, SCHEMES, "CRYPT").verify(b"secret")


def test_the_suffix_chooses_the_encoding() -> None:
    scheme = SCHEMES["SSHA256"]
    data = scheme.generate(b"x", 0, os.urandom)
    for encoding, prefix in ((Encoding.HEX, "{SSHA256.HEX}"), (Encoding.BASE64, "{SSHA256}"), (None, "{SSHA256}")):
        text = write(scheme, data, encoding)
        assert text.startswith(prefix)
        assert parse(text, SCHEMES, "PLAIN").verify(b"x")
    assert parse("{PLAIN.B64}c2VjcmV0", SCHEMES, "CRYPT").verify(b"secret")
    assert parse("{PLAIN.HEX}736563726574", SCHEMES, "CRYPT").verify(b"secret")


def test_without_a_prefix_the_default_scheme_counts() -> None:
    assert parse("secret", SCHEMES, "plain").verify(b"secret")
    assert parse("{not a scheme", SCHEMES, "PLAIN").verify(b"{not a scheme")


@pytest.mark.parametrize(
    "stored",
    [
        "{NOSUCH}x",
        "{SHA.NOSUCH}x",
        "{MD5-CRYPT}$1$xwFQKQOG$23AWLJkQeHhkKT1VEsHpH1",  # weak schemes are not in SCHEMES
        "$1$xwFQKQOG$23AWLJkQeHhkKT1VEsHpH1",
        "{SHA}!!!",
        "{SHA}AAAA",
        "{SSHA512}AAAA",
        "{SHA256.HEX}abc",
        "{PBKDF2}$1$salt$99999999999$00",
        "{PBKDF2}$1$salt$1000000000$6d26dba7bebe70047c192d99284d0b303a81aef5",
        "{PBKDF2}garbage",
        "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$broken",
        "{SCRAM-SHA-256}garbage",
        "{SCRAM-SHA-1}4096,!,!,!",
        "{SCRAM-SHA-256}4096,c2FsdA==,c3RvcmVk,c2VydmVy",  # keys of the wrong length
        "{SCRAM-SHA-1}0,c2FsdA==,AAAAAAAAAAAAAAAAAAAAAAAAAAA=,AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "{SCRAM-SHA-1}99999999,c2FsdA==,AAAAAAAAAAAAAAAAAAAAAAAAAAA=,AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "{CRAM-MD5}00ff",
        "{CRAM-MD5}nothex",
        "{ARGON2ID}$argon2d$v=19$m=65536,t=3,p=1$1xIBpgE+wHYgYf0oYNQUnw$0hw5lT8Um8mljwbxHC13xseTjJpBfshQuuGZq8tzaxY",
        "{BLF-CRYPT}$6$G0Y8MzOy7lwz5g/c$x",
        "{BLF-CRYPT}$2y$99$hDhK2LCNWvgdMYln4yX9f.HgfWkFSTvatJMXi7znYTn4P7HEsSnWu",
        "{SHA512-CRYPT}",
        "{CRYPT}erz50QD3gv4Dw",
        "{CRYPT}$nosuch$x$y",
        "{CRYPT}",
    ],
)
def test_broken_stored_forms_are_named_and_never_shown(stored: str) -> None:
    with pytest.raises(BadHash) as caught:
        parse(stored, SCHEMES, "CRYPT").verify(b"secret")
    data = stored.rpartition("}")[2]
    assert len(data) < 4 or data not in str(caught.value)


@given(text=st.text(max_size=80), password=st.binary(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_result_or_a_bad_hash(text: str, password: bytes) -> None:
    for stored in (
        text,
        "{CRYPT}" + text,
        "{SHA256}" + text,
        "{PBKDF2}" + text,
        "{ARGON2ID}" + text,
        "{SCRAM-SHA-1}" + text,
    ):
        try:
            parse(stored, SCHEMES, "PLAIN").verify(password)
        except BadHash:
            pass


def test_passwords_crypt_cannot_take_do_not_match() -> None:
    stored = parse(write(SCHEMES["BLF-CRYPT"], SCHEMES["BLF-CRYPT"].generate(b"a", 4, os.urandom)), SCHEMES, "CRYPT")
    assert stored.verify(b"a")
    assert not stored.verify(b"a\0b")
    assert not stored.verify(b"a" * 5000)
    with pytest.raises(Refused):
        SCHEMES["BLF-CRYPT"].generate(b"a\0b", 4, os.urandom)


@pytest.mark.parametrize(
    ("name", "rounds"),
    [
        ("SHA512-CRYPT", 999),
        ("SHA256-CRYPT", 10**9),
        ("BLF-CRYPT", 3),
        ("BLF-CRYPT", 32),
        ("PBKDF2", 10**8),
        ("SCRAM-SHA-256", 4095),
    ],
)
def test_rounds_out_of_range_are_refused(name: str, rounds: int) -> None:
    with pytest.raises(Refused):
        SCHEMES[name].generate(b"x", rounds, os.urandom)


def test_rounds_are_written_down() -> None:
    assert SCHEMES["SHA512-CRYPT"].generate(b"x", 6000, os.urandom).startswith(b"$6$rounds=6000$")
    assert SCHEMES["SHA512-CRYPT"].generate(b"x", 0, os.urandom).count(b"$") == 3
    assert SCHEMES["BLF-CRYPT"].generate(b"x", 4, os.urandom).startswith(b"$2y$04$")


def test_threads_do_not_share_the_state_of_crypt() -> None:
    stored = [(parse(text, ALL_SCHEMES, "CRYPT"), text) for text in FOREIGN if "CRYPT}" in text]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda pair: pair[0].verify(b"secret"), stored * 8))
    assert all(results) and len(results) == len(stored) * 8


def test_without_libcrypt_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libcrypt, "_library", None)
    monkeypatch.setattr(libcrypt, "NAMES", ("libcrypt.so.there-is-none",))
    with pytest.raises(SchemeUnavailable, match=r"install libcrypt1"):
        parse(FOREIGN[3], SCHEMES, "CRYPT").verify(b"secret")
    assert parse("{SHA1}5en6G6MezRroT3XKqkdPOmY/BfQ=", SCHEMES, "CRYPT").verify(b"secret")


def test_a_stored_password_shows_only_its_scheme() -> None:
    assert repr(parse("{PLAIN}hunter2", SCHEMES, "CRYPT")) == "Stored(PLAIN)"


@pytest.mark.interop
@pytest.mark.skipif(shutil.which("doveadm") is None, reason="Dovecot's doveadm is not installed")
@pytest.mark.parametrize(
    "name",
    [
        "SHA512-CRYPT",
        "BLF-CRYPT",
        "SSHA512",
        "PBKDF2",
        "SHA256",
        "ARGON2ID",
        "SCRAM-SHA-1",
        "SCRAM-SHA-256",
        "CRAM-MD5",
    ],
)
def test_dovecot_reads_what_we_write(name: str) -> None:
    scheme = schemes.SCHEMES[name]
    text = write(scheme, scheme.generate(b"secret", 0, os.urandom))
    done = subprocess.run(
        ["doveadm", "-O", "pw", "-t", text, "-p", "secret"], capture_output=True, text=True, timeout=30, check=False
    )
    assert "(verified)" in done.stdout, done.stderr


def test_digest_md5_is_tied_to_the_name() -> None:
    """Both lines are Dovecot's: ``doveadm pw -s DIGEST-MD5 -u u1[@example.org] -p secret``."""
    lines = {
        "u1": "{DIGEST-MD5}22841f0b958014edb19498293d1f2c1b",
        "u1@example.org": "{DIGEST-MD5}7ccffa0d549fb163606678a2fdc94ce8",
    }
    for user, line in lines.items():
        stored = parse(line, SCHEMES, "PLAIN")
        assert [stored.of_user(name).verify(b"secret") for name in lines] == [name == user for name in lines]
        assert not stored.of_user(user).verify(b"secreT")
        with pytest.raises(SchemeUnavailable, match="name"):
            stored.verify(b"secret")
