"""OAuth2 through the real master and rooms: tokens as JWTs and by introspection, and what clients are told."""

from __future__ import annotations

import base64
import imaplib
import json
from pathlib import Path

import pytest
from kit import jwts
from kit.instance import Instance
from kit.tokens import CONF, TokenServer, claims, local


def xoauth2(port: int, token: str, user: str = "u1") -> str:
    """The server's challenge (a JSON text) if it refuses, "" if it lets us in."""
    told: list[bytes] = []

    def answer(challenge: bytes) -> bytes:
        if challenge:
            told.append(challenge)
            return b""
        return f"user={user}\1auth=Bearer {token}\1\1".encode()

    with imaplib.IMAP4("127.0.0.1", port, timeout=30) as imap:
        imap.starttls()
        try:
            imap.authenticate("XOAUTH2", answer)
        except imaplib.IMAP4.error as error:
            return told[0].decode() if told else str(error)
        return ""


def test_a_client_is_told_what_is_wrong(tmp_path: Path) -> None:
    with Instance(tmp_path, local(tmp_path)) as roost:
        assert xoauth2(roost.imap_port, jwts.token("RS256", claims())) == ""
        told = json.loads(xoauth2(roost.imap_port, jwts.token("RS256", claims(scope="other"))))
        assert told == {"status": "403", "schemes": "bearer", "scope": "mail"}
        assert json.loads(xoauth2(roost.imap_port, "no.such.token"))["status"] == "401"
        with imaplib.IMAP4("127.0.0.1", roost.imap_port, timeout=30) as imap:
            imap.starttls()
            wrong = base64.b64encode(b"n,a=u1,\1auth=Bearer x.y.z\1\1")
            told_as: list[bytes] = []

            def answer(challenge: bytes) -> bytes:
                told_as.append(challenge)
                return base64.b64decode(wrong) if not challenge else b"\1"

            with pytest.raises(imaplib.IMAP4.error):
                imap.authenticate("OAUTHBEARER", answer)
        said = json.loads(told_as[-1])
        assert said["openid-configuration"] == "https://id.example/.well-known/openid-configuration"
        assert (said["status"], said["scope"]) == ("invalid_token", "mail")


def test_introspection_and_a_server_that_goes_away(tmp_path: Path) -> None:
    with TokenServer() as tokens:
        how = f"introspection_url = {tokens.url}/introspect\n  introspection_mode = post"
        conf = CONF.format(how=how, folder=tmp_path, more="")
        tokens.known["opaque-token-1"] = {"preferred_username": "u1", "sub": "u1", "scope": "mail", "active": True}
        with Instance(tmp_path, conf) as roost:
            assert xoauth2(roost.imap_port, "opaque-token-1") == ""
            assert json.loads(xoauth2(roost.imap_port, "opaque-token-2"))["status"] == "401"
            assert json.loads(xoauth2(roost.imap_port, "opaque-token-1", "u2"))["status"] == "401"
            tokens.close()
            assert "UNAVAILABLE" in xoauth2(roost.imap_port, "opaque-token-1")
            assert "opaque-token" not in roost.log_text()
            roost.wait_log("oauth2: introspection: 9003")


def test_in_an_auth_worker(tmp_path: Path) -> None:
    with Instance(tmp_path, local(tmp_path, "passdb_use_worker = yes\n")) as roost:
        assert xoauth2(roost.imap_port, jwts.token("ES256", claims())) == ""
        assert json.loads(xoauth2(roost.imap_port, jwts.token("ES256", claims(scope=None))))["status"] == "403"
        assert roost.pids("auth-worker")


def test_the_start_is_refused_when_it_makes_no_sense(tmp_path: Path) -> None:
    from roost.settings import load

    conf = CONF.format(how="introspection_mode = local", folder=tmp_path, more="")
    path = tmp_path / "other.conf"
    path.write_text(conf)
    (found,) = [one for one in load(str(path)).passdbs if one.name == "oauth2"]
    assert found.oauth2_keys is None and found.oauth2_username_attribute == "preferred_username"
