"""What clients of scripts start from: the HTTP and DNS settings of the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from roost.clients.http.configured import http_settings
from roost.clients.lua_families import lua_http, lua_resolver
from roost.errors import ConfigError
from roost.events.log import Log
from roost.settings import Config
from roost.settings.load import load
from roost.settings.schema.policy import AuthPolicyHttpSettings


def config(folder: Path, text: str) -> Config:
    path = folder / "roost.conf"
    path.write_text(text)
    return load(str(path))


def test_scripts_start_from_the_global_settings(tmp_path: Path) -> None:
    made = config(
        tmp_path,
        """
        http_client_request_timeout = 7s
        http_client_proxy_url = http://proxy.example:3128
        http_client_user_agent = ours
        ssl_client_ca_file = /etc/ca.pem
        dns_client_timeout = 3s
        oauth2 {
          http_client_request_timeout = 9s
        }
        """,
    )
    settings, _ = lua_http(made, Log("")).settings({"request_max_attempts": "3", "user_agent": "own"}, False)
    assert settings.request_timeout_msecs == 7000
    assert settings.proxy_url == "http://proxy.example:3128"
    assert settings.user_agent == "own"
    assert settings.ssl_client_ca_file == "/etc/ca.pem"
    assert settings.dns_client_timeout_msecs == 3000
    assert settings.request_max_attempts == 3
    assert settings.max_parallel_connections == 1000


def test_they_reach_policy_servers_too(tmp_path: Path) -> None:
    text = "http_client_request_timeout = 7s\ndns_client_timeout = 3s\nauth_policy {\ndns_client_timeout = 1s\n}\n"
    made = http_settings(config(tmp_path, text).element(AuthPolicyHttpSettings, (("auth_policy", ""),)))
    assert (made.request_timeout_msecs, made.dns_client_timeout_msecs) == (7000, 1000)


def test_the_resolver_is_bounded_by_settings(tmp_path: Path) -> None:
    text = "dns_client_threads = 2\ndns_client_max_waiting = 5\ndns_client_timeout = 3s\n"
    one = lua_resolver(config(tmp_path, text))
    assert (one._threads, one._limit, one._timeout_secs) == (2, 7, 3.0)


def test_settings_that_contradict_one_another_are_named(tmp_path: Path) -> None:
    made = config(tmp_path, "http_client_connect_backoff_time = 5s\nhttp_client_connect_backoff_max_time = 1s\n")
    with pytest.raises(ConfigError, match="connect_backoff_max_time"):
        lua_http(made, Log(""))
