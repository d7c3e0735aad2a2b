"""The master: binds every listener, forks the rooms, supervises them. One process, one thread, no protocol.

What it is: a ``selectors`` loop (``loop.py``) that hears children (``status.py``, ``logpipes.py``), signals
(``signals.py``), a control socket (``control.py``) and timers, and after every turn asks a pure policy
(``policy.py``) what each service needs now. Because the policy looks at the state and never at the event,
a lost or repeated event cannot wedge anything.

Sockets: ``base_dir/master`` (docs/protocols/master.md) and every listener of every service, handed to children.
Settings: ``MasterSettings``, ``ServiceSettings``, ``LoggingSettings``. Imports only ``roost`` layers 0–2;
rooms are imported by name just before the first fork.

See also: ``roost/proc/contract.py`` (what a child inherits and must do), docs/man/roost.1.md, systemd/README.md.
"""
