"""A configuration becomes services, or is refused with nothing left behind."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from master.build import Generation, build
from master.notify_systemd import Inherited
from master.rooms import Rooms
from roost.errors import ConfigError
from roost.settings import load

ROOT = "default_internal_user = root\ndefault_internal_group = root\n"
QUIET = "service imap {\n inet_listener imap {\n port = 0\n}\n inet_listener imaps {\n port = 0\n}\n}\n"


def make(tmp_path: Path, text: str, warnings: list[str] | None = None, overrides: Sequence[str] = ()) -> Generation:
    file = tmp_path / "r.conf"
    file.write_text(f"base_dir = {tmp_path}/run\nssl = no\n{text}")
    warn = (lambda _: None) if warnings is None else warnings.append
    return build(load(str(file), overrides), Rooms(), before=None, inherited=Inherited({}), warn=warn)


def test_the_default_services(tmp_path: Path) -> None:
    generation = make(tmp_path, ROOT + QUIET)
    assert set(generation.services) == {"imap", "lmtp", "auth", "auth-worker", "anvil", "notify"}
    auth = generation.services["auth"]
    assert auth.module == "services.auth.main"
    assert [info.type for info in auth.infos] == ["auth", "login", "master", "userdb"]
    assert [info.fd for info in auth.infos] == [9, 10, 11, 12]
    generation.discard(None)
    assert not list((tmp_path / "run").iterdir())


REFUSED = [
    ("process_min_avail = 5\nprocess_limit = 4", "process_min_avail"),
    ("chroot = x\ndrop_priv_before_exec = yes", "chroot"),
    ("reuse_port = yes\nprocess_min_avail = 1\nprocess_limit = 4", "reuse_port"),
    ("unix_listener auth-login {\n mode = 0600\n}", "duplicate listener"),
]


@pytest.mark.parametrize(("block", "text"), REFUSED)
def test_refusals_leave_no_socket_behind(tmp_path: Path, block: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        make(tmp_path, f"{ROOT}{QUIET}service imap {{\n{block}\n}}\n")
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").iterdir())


def test_a_taken_port_leaves_no_socket_behind(tmp_path: Path) -> None:
    with socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        port = owner.getsockname()[1]
        block = f"service lmtp {{\n inet_listener lmtp {{\n port = {port}\n listen = 127.0.0.1\n}}\n}}\n"
        with pytest.raises(ConfigError, match="already in use"):
            make(tmp_path, ROOT + QUIET + block)
    assert not list((tmp_path / "run").iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is asked")
def test_the_internal_user_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="useradd --system --user-group nosuchuser"):
        make(tmp_path, QUIET + "default_internal_user = nosuchuser\ndefault_internal_group = root\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is asked")
def test_login_services_never_run_as_root(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must not run as root"):
        make(tmp_path, f"{ROOT}{QUIET}service imap {{\n type = login\n user = root\n}}\n")


def test_too_few_descriptors_are_a_warning(tmp_path: Path) -> None:
    warnings: list[str] = []
    make(tmp_path, f"{ROOT}{QUIET}service imap {{\n client_limit = 100000000\n}}\n", warnings).discard(None)
    assert any("fd limit" in text and "service imap { client_limit }" in text for text in warnings)
