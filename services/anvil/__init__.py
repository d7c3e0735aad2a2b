"""The anvil room: who is connected, how often from where, and the order to leave; and which addresses fail to log in.

Sockets: ``anvil``, ``anvil-auth-penalty`` (docs/protocols/anvil.md). Settings: ``AnvilSettings``. ``sessions.py`` is
the table of sessions (pure), ``penalty.py`` that of addresses, ``room.py`` the connections of workers and tools.
Sessions live as long as the connection of the worker that announced them; workers announce them anew to a new anvil.
"""
