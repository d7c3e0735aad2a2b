"""JWTs verified by ourselves: every algorithm, every rule, and what attackers send."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from kit import jwts
from kit.jwts import ALGORITHMS, USER, claims, local_driver, part, token

from roost.auth.api import TOKEN_FAILURE, Entry, Outcome, Query
from roost.errors import ConfigError, Unavailable
from roost.settings.schema.auth import PassdbSettings
from roost.settings.schema.dict import DictSettings
from roost.testing.passdb import driver_context
from roost.util.secret import Secret
from services.auth.oauth2.keys import key_path
from services.auth.passdb.oauth2 import Oauth2

QUERY = Query(USER, {"service": "imap"}, "oauthbearer", USER)


async def judged(driver: Oauth2, text: str, query: Query = QUERY) -> Entry:
    entry = await driver.verify_token(query, Secret(text.encode()))
    assert entry is not None
    for piece in text.split("."):
        assert len(piece) < 12 or piece not in entry.reason, "the token is in the log"
    return entry


def judge(text: str, keys: dict[str, bytes] | None = None, query: Query = QUERY, **settings: Any) -> Entry:
    async def run() -> Entry:
        driver = await local_driver(keys, **settings)
        try:
            return await judged(driver, text, query)
        finally:
            await driver.close()

    return asyncio.run(run())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm(algorithm: str) -> None:
    good = token(algorithm)
    assert judge(good).outcome is Outcome.OK
    head, payload, signature = good.split(".")
    forged = part(claims(email="mallory@example.org"))
    assert judge(f"{head}.{forged}.{signature}").outcome is Outcome.MISMATCH
    broken = bytearray(base64.urlsafe_b64decode(signature + "=="))
    broken[len(broken) // 2] ^= 1
    assert judge(f"{head}.{payload}.{part(bytes(broken))}").reason == "JWT with a wrong signature"
    assert judge(f"{head}.{payload}.{part(b'x')}").reason == "JWT with a wrong signature"


OTHERS = ("none", "None", "NONE", "", "EdDSA", "HS1", "RS256 ", "ES521", 5, None, ["RS256"])


@pytest.mark.parametrize("algorithm", OTHERS)
def test_other_algorithms_are_refused(algorithm: object) -> None:
    for signature in ("", part(b"x")):
        entry = judge(f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims())}.{signature}")
        assert entry.outcome is Outcome.MISMATCH


def hmac_token(secret: bytes, algorithm: str = "HS256") -> str:
    signed = f"{part({'alg': algorithm})}.{part(claims())}"
    return f"{signed}.{part(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def test_a_public_key_is_never_an_hmac_secret() -> None:
    public = jwts.stored_key("RS256")
    der = base64.b64decode(b"".join(public.splitlines()[1:-1]))
    good = {"shared/default/RS256/default": public}
    for secret in (public, public.strip(), der):
        assert judge(hmac_token(secret), good).outcome is Outcome.MISMATCH, (
            "a key of another algorithm is not looked at"
        )
        for stored in (public, base64.b64encode(public), base64.b64encode(der)):
            with pytest.raises(Unavailable) as caught:
                judge(hmac_token(secret), {"shared/default/HS256/default": stored})
            assert "HS256/default" in caught.value.detail


def test_keys_of_another_kind_are_a_temporary_failure_and_named() -> None:
    wrong = {
        "RS256": [jwts.stored_key("ES256"), jwts.stored_key("HS256"), b"", b"-----BEGIN PUBLIC KEY-----\nxx\n"],
        "ES256": [jwts.stored_key("ES384"), jwts.stored_key("ES256K"), jwts.stored_key("RS256")],
        "HS256": [b"not base64!", b"", b"===="],
        "PS512": [jwts.pem(rsa.generate_private_key(65537, 1024))],
    }
    for algorithm, stored_keys in wrong.items():
        for stored in stored_keys:
            with pytest.raises(Unavailable) as caught:
                judge(token(algorithm), {f"shared/default/{algorithm}/default": stored})
            assert f"shared/default/{algorithm}/default" in caught.value.detail


def test_private_keys_are_not_taken() -> None:
    from cryptography.hazmat.primitives import serialization as form

    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    with pytest.raises(Unavailable) as caught:
        judge(token("ES256"), {"shared/default/ES256/default": private})
    assert "store the public one" in caught.value.detail


NOW = int(time.time())


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"sub": None}, "without sub"),
        ({"sub": ""}, "without sub"),
        ({"sub": ["4711"]}, "without sub"),
        ({"exp": None}, "exp"),
        ({"exp": "soon"}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": [NOW + 100]}, "exp"),
        ({"exp": {"a": NOW + 100}}, "exp"),
        ({"exp": NOW - 100}, "expired"),
        ({"exp": -5}, "expired"),
        ({"nbf": NOW + 1000}, "not valid yet"),
        ({"nbf": "x"}, "nbf"),
        ({"iat": NOW + 1000}, "future"),
        ({"iat": None, "nbf": None, "exp": 0}, "expired"),
        ({"email": None}, "does not name the user"),
        ({"email": ""}, "does not name the user"),
        ({"email": [USER]}, "does not name the user"),
        ({"email": {"x": USER}}, "does not name the user"),
        ({"email": "bob@example.org"}, "did not match"),
        ({"email": USER.upper()}, "did not match"),
        ({"azp": 5}, "azp"),
        ({"azp": ""}, "azp"),
        ({"azp": "x" * 300}, "azp"),
        ({"azp": "a\nb"}, "azp"),
    ],
)
def test_claims_that_will_not_do(changes: dict[str, object], why: str) -> None:
    entry = judge(token("HS256", claims(**changes)))
    assert entry.outcome is Outcome.MISMATCH
    assert why in entry.reason


def test_the_grace_and_the_second_ahead() -> None:
    assert judge(token("HS256", claims(exp=int(time.time()) - 30))).outcome is Outcome.OK
    grace = {"oauth2_token_expire_grace_secs": 0}
    assert judge(token("HS256", claims(exp=int(time.time()) - 5)), **grace).reason == "Token has expired"
    assert judge(token("HS256", claims(nbf=time.time() + 0.5, iat=time.time() + 0.5))).outcome is Outcome.OK


def test_issuer_audience_scope_and_account() -> None:
    def check(payload: dict[str, object], **settings: Any) -> Entry:
        return judge(token("HS256", payload), **settings)

    issuers = {"oauth2_issuers": ("https://a.example", "https://b.example")}
    assert check(claims(iss="https://b.example"), **issuers).outcome is Outcome.OK
    for payload in (claims(), claims(iss="https://c.example"), claims(iss=["https://a.example"])):
        assert check(payload, **issuers).outcome is Outcome.MISMATCH
    ours = {"oauth2_client_id": "mail"}
    assert check(claims(aud="mail"), **ours).outcome is Outcome.OK
    assert check(claims(aud=["x", "mail"]), **ours).outcome is Outcome.OK
    for payload in (claims(), claims(aud="mailer"), claims(aud=["x"]), claims(aud={"mail": 1}), claims(aud=[["mail"]])):
        assert check(payload, **ours).outcome is Outcome.MISMATCH
    scope = {"oauth2_scope": ("mail", "imap")}
    for good in ("imap mail x", ["mail", "imap"]):
        assert check(claims(scope=good), **scope).outcome is Outcome.OK
    for bad in (None, "mail", "mail imapx", ["mail imap"], {"mail": 1, "imap": 1}, 5):
        entry = check(claims(scope=bad), **scope)
        assert (entry.outcome, entry.fields) == (Outcome.MISMATCH, {TOKEN_FAILURE: "insufficient_scope"})
    active = {"oauth2_active_attribute": "account_enabled", "oauth2_active_value": "true"}
    assert check(claims(account={"enabled": True}), **active).outcome is Outcome.OK
    for bad in (claims(), claims(account={"enabled": False}), claims(account={"enabled": [True]})):
        assert check(bad, **active).outcome is Outcome.DISABLED


def test_what_is_written_out_wins_over_what_is_put_together() -> None:
    """A user who may fill a nested claim names himself by none of it."""
    payload = claims(email="mallory@example.org")
    for order in (payload | {"e": {"mail": USER}}, {"e": {"mail": USER}} | payload):
        entry = judge(token("HS256", {"e_mail": "mallory@example.org", **order}), oauth2_username_attribute="e_mail")
        assert entry.outcome is Outcome.MISMATCH


def test_fields_and_variables() -> None:
    entry = judge(
        token("HS256", claims(realm={"role": ["a", "b"], "deep": {"n": 1.5}}, n=None, yes=True)),
        fields={"a": "%{oauth2:realm_role}", "b": "%{oauth2:yes}%{oauth2:n}%{oauth2:access_token}", "c": "%{user}"},
        oauth2_fields={"x": "%{oauth2:realm_deep_n}/%{oauth2:sub}/%{user}", "none": "%{oauth2:nothing}"},
    )
    assert entry.fields == {"x": f"1.5/4711/{USER}", "none": ""}
    assert entry.variables["oauth2:realm_role"] == "a\tb"
    assert entry.variables["oauth2:yes"] == "true"
    assert entry.variables["oauth2:n"] == ""
    assert set(entry.variables) == {f"oauth2:{name}" for name in ("realm_role", "yes", "n", "access_token")}
    assert "4711" not in repr(entry), "neither fields nor variables are shown"


def test_the_users_name_may_be_made_of_parts() -> None:
    payload = claims(preferred_username="alice")
    how = {"oauth2_username_attribute": "preferred_username", "oauth2_username_validation_format": "%{user | username}"}
    assert judge(token("HS256", payload), **how).outcome is Outcome.OK
    assert judge(token("HS256", payload), query=Query("bob@example.org"), **how).outcome is Outcome.MISMATCH


def test_where_keys_are_looked_up() -> None:
    assert key_path("default", "RS256", "default") == "shared/default/RS256/default"
    assert key_path("a/b", "RS256", "../x%2f") == "shared/a%2fb/RS256/%2e%2e%2fx%252f"
    stored = jwts.stored_key("RS256")
    keys = {key_path("web/app", "RS256", "k.1"): stored}
    assert judge(token("RS256", claims(azp="web/app"), {"kid": "k.1"}), keys).outcome is Outcome.OK
    for azp, kid in (("web", "app"), (None, "k.1"), ("web/app", None), ("web%2fapp", "k.1"), ("web/app", "k%2e1")):
        headers = {"kid": kid} if kid else {}
        assert "unknown key" in judge(token("RS256", claims(azp=azp), headers), keys).reason


@settings(max_examples=200, deadline=None)
@given(
    party=st.text(st.sampled_from("ab/.%2fF\\|"), max_size=12),
    key_id=st.text(st.sampled_from("ab/.%2fF\\|"), max_size=12),
    other=st.tuples(st.text(st.sampled_from("ab/.%2f"), max_size=12), st.text(st.sampled_from("ab/.%2f"), max_size=12)),
)
def test_no_two_names_share_a_place(party: str, key_id: str, other: tuple[str, str]) -> None:
    path = key_path(party, "RS256", key_id)
    assert path.count("/") == 3 and ".." not in path
    if (party, key_id) != other:
        assert path != key_path(other[0], "RS256", other[1])


@pytest.mark.parametrize("kid", ["", 5, None, ["x"], "x" * 300, "a\0b", "a\nb", "../../etc/passwd", "%2e%2e%2f", "\\|"])
def test_hostile_key_names(kid: object) -> None:
    head = part({"alg": "RS256", "kid": kid})
    entry = judge(f"{head}.{part(claims())}.{part(b'x' * 256)}")
    assert entry.outcome is Outcome.MISMATCH


GOOD = claims()
MALFORMED = [
    "",
    "x",
    "..",
    "a.b",
    "a.b.c.d",
    f"{part({'alg': 'HS256'})}..",
    f"{part([1])}.{part(GOOD)}.{part(b'x')}",
    f"{part(b'{')}.{part(GOOD)}.{part(b'x')}",
    f"{part(b'{}')}.{part(b'[]')}.{part(b'x')}",
    f"{part(b'[' * 2000)}.{part(GOOD)}.{part(b'x')}",
    f"{part(json.dumps({'alg': 'HS256'}).encode('utf-16'))}.{part(GOOD)}.{part(b'x')}",
    "{}.{}.{}".format(part(b'{"alg":"none","alg":"HS256"}'), part(GOOD), part(b"x")),
    f"{part({'alg': 'HS256', 'crit': ['exp'], 'exp': 1})}.{part(GOOD)}.{part(b'x')}",
    f"{part({'alg': 'HS256', 'b64': False})}.{part(GOOD)}.{part(b'x')}",
    f"{part(b'{}')}=.{part(GOOD)}.{part(b'x')}",
    f"{part({'alg': 'HS256'})}.{part(b'NaN')}.{part(b'x')}",
]


@pytest.mark.parametrize("text", MALFORMED)
def test_what_is_no_jwt(text: str) -> None:
    assert judge(text).outcome is Outcome.MISMATCH


def test_a_long_or_odd_token_never_gets_far() -> None:
    assert "too long" in judge("x" * 9000).reason
    for text in ("a b", "a\r\nb", "a\0", "käse", "a=b", "a,b"):
        assert judge(text).reason == "Not a token"


def test_every_cut_and_every_changed_octet_of_a_token_is_refused() -> None:
    async def run() -> None:
        driver = await local_driver()
        good = token("HS256")
        for index in range(len(good)):
            assert (await judged(driver, good[:index])).outcome is Outcome.MISMATCH
            other = "A" if good[index] != "A" else "B"
            changed = good[:index] + other + good[index + 1 :]
            assert (await judged(driver, changed)).outcome is Outcome.MISMATCH, index
        assert (await judged(driver, good)).outcome is Outcome.OK

    asyncio.run(run())


def test_two_hundred_at_once_and_none_for_another() -> None:
    async def run() -> None:
        driver = await local_driver()
        names = [f"user{number}@example.org" for number in range(200)]
        texts = [token("ES256", claims(email=name)) for name in names]

        async def one(number: int) -> None:
            name = names[number]
            assert (await judged(driver, texts[number], Query(name))).outcome is Outcome.OK
            assert (await judged(driver, texts[number], Query(names[number - 1]))).outcome is Outcome.MISMATCH

        await asyncio.gather(*(one(number) for number in range(200)))

    asyncio.run(run())


def test_keys_are_looked_up_once_and_made_up_ones_fill_nothing() -> None:
    async def run() -> None:
        driver = await local_driver(oauth2_max_keys=2)
        assert driver._local is not None
        keys = driver._local._keys
        asked: list[str] = []
        lookup = keys._dict.lookup

        async def counting(key: str, user: str = "") -> Any:
            asked.append(key)
            return await lookup(key, user)

        keys._dict.lookup = counting  # type: ignore[method-assign]
        for _ in range(3):
            assert (await judged(driver, token("HS256"))).outcome is Outcome.OK
        assert asked == ["shared/default/HS256/default"]
        for number in range(20):
            await judged(driver, token("HS256", None, {"kid": f"made-up-{number}"}))
        assert len(keys._known) == 1
        for name in ("HS384", "HS512"):
            assert (await judged(driver, token(name))).outcome is Outcome.OK
        assert len(keys._known) == 2

    asyncio.run(run())


def test_a_dict_that_does_not_answer_is_no_verdict() -> None:
    async def run() -> None:
        driver = Oauth2(
            PassdbSettings(oauth2_introspection_mode="local", oauth2_keys=DictSettings(name="k", driver="fail")),
            driver_context(),
        )
        with pytest.raises(Unavailable):
            await judged(driver, token("HS256"))

    asyncio.run(run())


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "No way to verify tokens"),
        ({"oauth2_introspection_mode": "local"}, "required to have dict"),
        ({"oauth2_introspection_mode": "local", "oauth2_local_validation_dict": "x"}, "there is no dict x"),
        ({"oauth2_grant_url": "http://x/", "oauth2_introspection_mode": "get"}, "needs oauth2_introspection_url"),
        ({"oauth2_introspection_url": "http://x/"}, "needs a mode"),
        ({"oauth2_introspection_url": "http://x y/", "oauth2_introspection_mode": "post"}, "Invalid URL"),
        ({"oauth2_grant_url": "ftp://x/"}, "Invalid URL"),
        ({"oauth2_grant_url": "http://x/", "oauth2_client_id": "x"}, "client_secret"),
        ({"oauth2_grant_url": "http://x/", "oauth2_client_secret": "x"}, "client_id"),
        ({"oauth2_grant_url": "http://x/", "oauth2_username_attribute": ""}, "missing"),
        ({"oauth2_grant_url": "http://x/", "oauth2_username_validation_format": "%{user"}, "user"),
        ({"oauth2_grant_url": "http://x/", "oauth2_fields": {"a": "%{user | nosuch}"}}, "nosuch"),
    ],
)
def test_configurations_that_make_no_sense(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Oauth2(PassdbSettings(name="oauth2", **given), driver_context())


def test_without_the_packages_the_error_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [name for name in sys.modules if name.startswith(("services.auth.oauth2.", "jwt"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "jwt", None)
    monkeypatch.setitem(sys.modules, "jwt.algorithms", None)
    keys = DictSettings(name="k", driver="memory")
    with pytest.raises(ConfigError, match=r"pip install 'roost\[oauth2\]'"):
        Oauth2(PassdbSettings(oauth2_introspection_mode="local", oauth2_keys=keys), driver_context())
    Oauth2(PassdbSettings(oauth2_grant_url="http://x/"), driver_context())
