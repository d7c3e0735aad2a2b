"""curl logs in with XOAUTH2 and OAUTHBEARER, by JWTs that are verified with keys from a dict."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kit import jwts
from kit.instance import Instance
from kit.tokens import claims, local

pytestmark = pytest.mark.interop


def curl(port: int, mechanism: str, token: str, user: str = "u1") -> subprocess.CompletedProcess[bytes]:
    options = ["-sS", "-v", "-k", "--max-time", "30", "--login-options", f"AUTH={mechanism}", "-X", "NOOP"]
    who = ["--user", f"{user}:", "--oauth2-bearer", token, f"imaps://127.0.0.1:{port}/"]
    return subprocess.run(["curl", *options, *who], capture_output=True, timeout=60)


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_curl_with_good_and_expired_tokens(tmp_path: Path, program: Callable[[str], str], mechanism: str) -> None:
    program("curl")
    with Instance(tmp_path, local(tmp_path, f"auth_mechanisms = plain {mechanism.lower()}\n")) as roost:
        for algorithm in ("HS256", "RS256", "ES256"):
            token = jwts.token(algorithm, claims())
            done = curl(roost.imaps_port, mechanism, token)
            assert done.returncode == 0, done.stderr.decode()
            assert token not in roost.log_text()
        old = jwts.token("RS256", claims(exp=int(time.time()) - 500))
        assert curl(roost.imaps_port, mechanism, old).returncode == 67  # CURLE_LOGIN_DENIED
        assert curl(roost.imaps_port, mechanism, jwts.token("RS256", claims()), "u2").returncode == 67
        roost.wait_log("Token has expired")
        roost.wait_log("Username 'u1' did not match 'u2'")
        roost.wait_log(f"user=<u1>, method={mechanism}")
        for piece in old.split("."):
            assert piece not in roost.log_text()
