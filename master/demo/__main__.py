"""Start a private instance in the foreground: write its files, run the master, deliver the first mail, say where."""

from __future__ import annotations

import argparse
import os
import select
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from master.demo.layout import MESSAGES, PASSWORD, USERS, Instance, message

_START_DEADLINE_SECS = 60

BANNER = """
Roost is running. Its files are under {root}

  IMAP    127.0.0.1:{imap_port}  with STARTTLS
  IMAPS   127.0.0.1:{imaps_port}  with TLS (a self-signed certificate: {root}/etc/localhost.pem)
  LMTP    {lmtp}
  auth    {auth}

  user {user}, password {password} (also: {others})

Try:
  curl --cacert {root}/etc/localhost.pem --user {user}:{password} 'imaps://localhost:{imaps_port}/INBOX;MAILINDEX=1'

Stop it with Ctrl-C.
"""


def main() -> int:
    options = _options()
    instance = Instance(Path(options.dir).resolve(), options.imap_port, options.imaps_port)
    try:
        instance.write()
    except (OSError, ImportError) as error:
        print(f"roost demo: cannot prepare {instance.root}: {error}", file=sys.stderr)
        return 73
    with tempfile.TemporaryDirectory(prefix="roost-demo-") as folder:
        return _run(instance, Path(folder) / "notify")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="master.demo", description="Run a private Roost instance in the foreground.")
    parser.add_argument("--dir", default="var", help="folder of the instance (default: ./var)")
    parser.add_argument("--imap-port", type=int, default=1143, help="IMAP with STARTTLS (default: 1143)")
    parser.add_argument("--imaps-port", type=int, default=1993, help="IMAP with TLS (default: 1993)")
    return parser.parse_args()


def _run(instance: Instance, notify_path: Path) -> int:
    """Run the master as a child and speak to it as systemd would: it says READY when every listener serves."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
        notify.bind(str(notify_path))
        master = subprocess.Popen(
            [sys.executable, "-I", "-m", "master", "-F", "-c", str(instance.config_file)],
            env={**os.environ, "NOTIFY_SOCKET": str(notify_path)},
        )
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda received, _frame: master.send_signal(received))
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the master too
        if _wait_ready(notify, master):
            _seed(instance)
            _say_where(instance)
        return master.wait()


def _wait_ready(notify: socket.socket, master: subprocess.Popen[bytes]) -> bool:
    for _ in range(_START_DEADLINE_SECS * 10):
        if select.select([notify], [], [], 0.1)[0] and b"READY=1" in notify.recv(4096):
            return True
        if master.poll() is not None:
            return False
    print("roost demo: the master did not get ready", file=sys.stderr)
    master.terminate()
    return False


def _seed(instance: Instance) -> None:
    """Deliver the demo messages once, through the front door."""
    if instance.seeded_mark.exists():
        return
    try:
        with smtplib.LMTP(str(instance.lmtp_socket)) as lmtp:
            for user in USERS:
                for number in range(len(MESSAGES)):
                    lmtp.sendmail("keeper@localhost", [user], message(number, user))
    except (OSError, smtplib.SMTPException) as error:
        print(f"roost demo: the first messages were not delivered: {error}", file=sys.stderr)
        return
    instance.seeded_mark.touch()


def _say_where(instance: Instance) -> None:
    print(
        BANNER.format(
            root=instance.root,
            imap_port=instance.imap_port,
            imaps_port=instance.imaps_port,
            lmtp=instance.lmtp_socket,
            auth=instance.auth_socket,
            user=USERS[0],
            password=PASSWORD,
            others=", ".join(USERS[1:]),
        ),
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
