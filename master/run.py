"""The life of a master: configuration, lock, log, listeners, children, until it is told to stop.

Order of effects: everything that can fail for a wrong configuration fails before the first child, with one line on
standard error that says what to do, and an exit code of sysexits(3).
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from master.build import Generation, build, describe_unprivileged
from master.care import Care
from master.control import ControlServer
from master.daemon import Foreground, detach
from master.listeners import make_parents
from master.logpipes import Journal, open_journal
from master.notify_systemd import Inherited, take_inherited, take_notifier
from master.pidfile import PidFile
from master.precheck import precheck
from master.readiness import Readiness
from master.reload import Reloader
from master.rooms import Rooms
from master.signals import Order, SignalQueue
from master.stopping import Stopper
from master.supervisor import Supervisor
from roost import roots
from roost.errors import ConfigError
from roost.proc.title import set_title
from roost.settings import Config, load
from roost.settings.schema import LoggingSettings, MasterSettings
from roost.settings.variables import expand

KEPT_VARIABLES = ("JOURNAL_STREAM",)


@dataclass(frozen=True)
class Options:
    """The command line of a start."""

    config_path: str
    overrides: Sequence[str] = ()
    foreground: bool = False


@cache
def version() -> str:
    """Our version, as installed."""
    try:
        return metadata.version("roost")
    except metadata.PackageNotFoundError:
        return "unknown"


def run(options: Options, rooms: Rooms) -> int:
    """Be the master until told to stop. Returns the exit code. Raises: ConfigError when it cannot start."""
    roots.check()
    environ = dict(os.environ)
    notifier, inherited = take_notifier(os.environ), take_inherited(os.environ)
    os.umask(0o077)

    def load_config() -> Config:
        return load(options.config_path, options.overrides, environ)

    config = load_config()
    settings, logging = config.section(MasterSettings), config.section(LoggingSettings)
    base_dir = _prepare_base_dir(settings)
    caller = Foreground() if options.foreground else detach(keep_stderr=logging.log_path == "/dev/stderr")
    pidfile = PidFile(base_dir / "master.pid")
    try:
        journal = open_journal(logging, settings.instance_name)
        _raise_fd_limit()
        generation = build(config, rooms, before=None, inherited=inherited, warn=journal.warning)
        _announce(config, generation, journal, inherited)
        os.chdir(base_dir)
        _clean_environment(settings)
        set_title(settings.instance_name, "master")
        rooms.preload((service.module for service in generation.services.values()), journal.error)
        try:
            precheck(generation.services.values(), journal.warning)
        except BaseException:
            generation.discard(None)
            raise
        supervisor = Supervisor(generation, journal, rooms, notifier, SignalQueue())
        _serve(supervisor, base_dir, load_config, caller)
    finally:
        pidfile.release()
    return 0


def _serve(supervisor: Supervisor, base_dir: Path, load_config: Callable[[], Config], caller: Foreground) -> None:
    journal = supervisor.journal
    reloader, stopper = Reloader(supervisor, load_config), Stopper(supervisor)

    def on_ready(missing: list[str]) -> None:
        caller.started(missing)
        if missing:
            journal.error(f"services that are not ready: {', '.join(missing)}")
        else:
            journal.info("Ready")
        supervisor.notifier.ready(f"not ready: {', '.join(missing)}" if missing else f"v{version()} running")

    def on_reload() -> str:
        if stopper.begun:
            return "stopping"
        return reloader.reload()

    def on_hup(signum: signal.Signals) -> None:
        journal.info("SIGHUP received - reloading configuration")
        on_reload()

    def on_stop(signum: signal.Signals) -> None:
        journal.warning(f"Killed with signal {int(signum)} ({signum.name})")
        stopper.stop()

    def on_usr1(signum: signal.Signals) -> None:
        journal.reopen()
        journal.info("SIGUSR1 received - log files reopened")

    def on_shutdown() -> None:
        journal.info("Stop requested on the control socket")
        stopper.stop()

    supervisor.orders.update({Order.RELOAD: on_hup, Order.STOP: on_stop, Order.REOPEN_LOGS: on_usr1})
    control = ControlServer(
        supervisor,
        base_dir / "master",
        version(),
        reload=on_reload,
        shutdown=on_shutdown,
        last_problem=lambda: reloader.problem,
    )
    Readiness(supervisor, on_ready)
    Care(supervisor)
    supervisor.loop.run()
    control.close()
    journal.info("Stopped")
    journal.flush()


def _announce(config: Config, generation: Generation, journal: Journal, inherited: Inherited) -> None:
    protocols = ", ".join(generation.settings.protocols) or "no protocols"
    core = "" if resource.getrlimit(resource.RLIMIT_CORE)[0] else " (core dumps disabled)"
    journal.info(f"Roost v{version()} starting up for {protocols}{core}")
    for text in config.warnings:
        journal.warning(text)
    if os.geteuid() != 0:
        journal.info(describe_unprivileged())
    for port in inherited.close_leftovers():
        journal.error(f"systemd listens on port {port}, but it's not configured in Roost. Closing.")


def _prepare_base_dir(settings: MasterSettings) -> Path:
    base_dir = Path(settings.base_dir)
    if not base_dir.is_absolute():
        raise ConfigError(f"must be an absolute path, not {settings.base_dir}", key="base_dir")
    make_parents(str(base_dir / "master"))
    if not os.access(base_dir, os.W_OK | os.X_OK):
        raise ConfigError(
            f"{base_dir} is not writable for uid {os.geteuid()}; choose another directory", key="base_dir"
        )
    return base_dir


def _raise_fd_limit() -> None:
    """Every descriptor the system lets us have: a connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            print(f"roost: cannot raise the fd limit from {soft}", file=sys.stderr)


def _clean_environment(settings: MasterSettings) -> None:
    """Children get import_environment and nothing else."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    kept |= {name: expand(value, {}) for name, value in settings.import_environment.items()}
    os.environ.clear()
    os.environ.update({name: value for name, value in kept.items() if value})
