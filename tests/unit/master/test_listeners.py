"""Binding: keys, adoption, stale names, clear refusals."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from master.listeners import Listeners
from master.notify_systemd import Inherited
from roost.errors import ConfigError
from roost.settings.schema import FifoListener, InetListener, ServiceSettings, UnixListener

SERVICE = ServiceSettings(name="imap", process_limit=2, client_limit=10)
NOTHING = Inherited({})


def open_one(
    listeners: Listeners, listener: UnixListener | FifoListener | InetListener, before: Listeners | None = None
) -> int:
    fd = listeners.open(SERVICE, listener, 0, before=before, inherited=NOTHING)
    assert fd is not None
    return fd


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(str(path))
        except OSError:
            return False
        return True


def warned(text: str) -> None:
    raise AssertionError(text)


def test_unix_modes_parents_and_discard(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "door"
    listeners = Listeners(warned)
    open_one(listeners, UnixListener(path=str(path), mode=0o660))
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
    assert connects(path)
    listeners.discard(None)
    assert not path.exists()


def test_a_stale_socket_is_replaced_and_a_living_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "door"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    mine = Listeners(warned)
    open_one(mine, UnixListener(path=str(path), mode=0o600))
    with pytest.raises(ConfigError, match="already in use"):
        open_one(Listeners(warned), UnixListener(path=str(path), mode=0o600))
    assert connects(path)
    mine.discard(None)


def test_duplicates_are_refused(tmp_path: Path) -> None:
    listeners = Listeners(warned)
    listener = UnixListener(path=str(tmp_path / "door"), mode=0o600)
    open_one(listeners, listener)
    with pytest.raises(ConfigError, match="duplicate listener"):
        open_one(listeners, listener)
    listeners.discard(None)


def test_long_paths_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="shorter base_dir"):
        open_one(Listeners(warned), UnixListener(path=f"{tmp_path}/{'x' * 100}", mode=0o600))


def test_what_stays_is_taken_over_and_only_the_rest_closed(tmp_path: Path) -> None:
    kept, gone = (
        UnixListener(path=str(tmp_path / "kept"), mode=0o600),
        UnixListener(path=str(tmp_path / "gone"), mode=0o600),
    )
    old = Listeners(warned)
    fd = open_one(old, kept)
    open_one(old, gone)
    new = Listeners(warned)
    assert open_one(new, UnixListener(path=kept.path, mode=0o666), old) == fd
    # Nothing changes before the commit: a reload that fails leaves all as it was.
    assert stat.S_IMODE(os.stat(kept.path).st_mode) == 0o600
    new.commit()
    old.discard(new)
    assert stat.S_IMODE(os.stat(kept.path).st_mode) == 0o666
    assert connects(tmp_path / "kept") and not (tmp_path / "gone").exists()
    new.discard(None)


def test_a_failed_reload_leaves_the_old_ones_alone(tmp_path: Path) -> None:
    old = Listeners(warned)
    open_one(old, UnixListener(path=str(tmp_path / "kept"), mode=0o600))
    new = Listeners(warned)
    open_one(new, UnixListener(path=str(tmp_path / "kept"), mode=0o600), old)
    open_one(new, UnixListener(path=str(tmp_path / "fresh"), mode=0o600), old)
    new.discard(old)
    assert connects(tmp_path / "kept") and not (tmp_path / "fresh").exists()
    old.discard(None)


def test_inet_and_systemd_sockets() -> None:
    with socket.socket() as given:
        given.bind(("127.0.0.1", 0))
        given.listen()
        port = given.getsockname()[1]
        fd = os.dup(given.fileno())
        inherited = Inherited({(socket.AF_INET, port): [fd]})
        listeners = Listeners(warned)
        listener = InetListener(name="imap", type="", host="0.0.0.0", port=port)
        assert listeners.open(SERVICE, listener, 0, before=None, inherited=inherited) == fd
        assert inherited.close_leftovers() == []
        listeners.discard(None)


def test_a_port_in_use_and_an_address_of_somebody_else() -> None:
    with socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        port = owner.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"127\.0\.0\.1:{port}.*already in use by .*pid {os.getpid()}"):
            open_one(Listeners(warned), InetListener(name="imap", type="", host="127.0.0.1", port=port))
        with pytest.raises(ConfigError, match=r"does not have the address 192\.0\.2\.77"):
            open_one(Listeners(warned), InetListener(name="imap", type="", host="192.0.2.77", port=port))


def test_without_ipv6_the_wildcard_is_only_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    def no_ipv6(family: int = -1, *rest: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return real(family, *rest)

    monkeypatch.setattr(socket, "socket", no_ipv6)
    texts: list[str] = []
    listener = InetListener(name="imap", type="", host="::", port=1)
    assert Listeners(texts.append).open(SERVICE, listener, 0, before=None, inherited=NOTHING) is None
    assert "IPv6 is not available here" in texts[0]


def test_a_fifo(tmp_path: Path) -> None:
    listeners = Listeners(warned)
    fd = open_one(listeners, FifoListener(path=str(tmp_path / "pipe"), mode=0o620))
    assert stat.S_ISFIFO(os.fstat(fd).st_mode)
    listeners.discard(None)
    assert not (tmp_path / "pipe").exists()
