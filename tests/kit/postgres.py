"""A private PostgreSQL server on a UNIX socket, for tests; a visible skip where there is none.

One cluster serves a test run's process; each test has a database of its own (``cluster().database()``). PostgreSQL
refuses to run as root, so it runs as the user ``postgres`` then.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from kit.wait import wait_for

PASSWORD = "connection-secret"
USER = "roost_auth"
LOCATIONS = ("/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin", "/usr/local/bin", "/usr/bin")


class Cluster:
    """A server. ``folder`` is where its socket is."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self.folder = Path(tempfile.mkdtemp(prefix="pg"))
        self._user: str | None = None
        if os.geteuid() == 0:
            self._user = "postgres"
            owner = pwd.getpwnam("postgres")
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        os.chmod(self.folder, 0o755)
        (self.folder / "password").write_text(PASSWORD)
        if self._user:
            shutil.chown(self.folder / "password", self._user)
        self._run(
            *("initdb", "-D", str(self.folder / "data"), "-U", USER, "-A", "scram-sha-256", "-E", "UTF8"),
            *("--no-sync", "--locale=C", f"--pwfile={self.folder}/password"),
        )

    def start(self) -> None:
        options = ("fsync=off", "listen_addresses=", f"unix_socket_directories={self.folder}", "max_connections=40")
        command = [str(self._programs / "postgres"), "-D", str(self.folder / "data")]
        for option in (*options, "shared_buffers=4MB", "logging_collector=off"):
            command += ["-c", option]
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, user=self._user, cwd="/", env=_clean())
        wait_for(lambda: self._answers(), 30, "PostgreSQL answers")

    def stop(self) -> None:
        """At once: connections break."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
            self._process = None

    def pause(self, paused: bool) -> None:
        """Every process of the server stops, or goes on."""
        assert self._process is not None
        name = signal.SIGSTOP if paused else signal.SIGCONT
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in (*map(int, children), self._process.pid):
            try:
                os.kill(pid, name)
            except ProcessLookupError:
                pass

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def database(self, *statements: str) -> str:
        """A new database in which these were executed; its name."""
        self._databases += 1
        name = f"test{self._databases}"
        self.execute("postgres", f"CREATE DATABASE {name} TEMPLATE template0")
        self.execute(name, *statements)
        return name

    def execute(self, database: str, *statements: str, values: tuple[Any, ...] = ()) -> None:
        asyncio.run(self._execute(database, statements, values))

    async def _execute(self, database: str, statements: tuple[str, ...], values: tuple[Any, ...]) -> None:
        import asyncpg

        connection = await asyncpg.connect(host=str(self.folder), user=USER, password=PASSWORD, database=database)
        try:
            for statement in statements:
                await connection.execute(statement, *values)
        finally:
            await connection.close()

    def _answers(self) -> bool:
        assert self._process is not None and self._process.poll() is None, (self.folder / "log").read_text()
        try:
            self.execute("postgres")
        except Exception:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._programs / program), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            user=self._user,
            cwd="/",
            env=_clean(),
            timeout=120,
        )


def _clean() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}


@cache
def cluster() -> Cluster:
    """The running server of this process. Skips the test where PostgreSQL or its driver is not installed."""
    pytest.importorskip("asyncpg", reason="asyncpg is not installed")
    for pattern in LOCATIONS:
        for folder in sorted(Path("/").glob(pattern.lstrip("/")), reverse=True):
            if (folder / "initdb").exists() and (folder / "postgres").exists():
                made = Cluster(folder)
                atexit.register(made.remove)
                made.start()
                return made
    pytest.skip("PostgreSQL (initdb, postgres) is not installed")
