"""Settings: the configuration files, their language, the schema of every setting, and the effective configuration.

``load(path)`` gives a ``Config``; ``config.section(ImapSettings, service="imap", protocol="imap")`` a frozen dataclass.
The languages are in ``readers/`` (Dovecot 2.4's and TOML), the settings in ``schema/``, ``%{variables}`` in
``variables.py``; ``doveconf.py`` is the command, ``show.py`` writes docs/settings.md. Errors are ``ConfigError`` and
name file, line, key and what to do. Nothing here keeps state: a reload loads beside what is in use.
"""

from __future__ import annotations

from roost.settings.config import Config
from roost.settings.load import DEFAULT_PATH, load

__all__ = ["DEFAULT_PATH", "Config", "load"]
