"""Sockets as rooms see them: ``Connection`` and what it stands on.

``connection.py`` reading, writing, TLS and faults of one client; ``deadlines.py`` cheap timers for many;
``inline.py`` coroutines that become tasks only when they wait; ``tls.py`` contexts that follow their certificate
files; ``proxy.py`` the PROXY header; ``peer.py`` who is at the other end.
"""
