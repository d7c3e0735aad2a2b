"""The protocols between our own processes, as octets and values only.

``lines.py`` the TAB-separated, escaped line all of them are made of; ``handshake.py`` the VERSION greeting; one file
for each socket's messages. Each has its page in ``docs/protocols/``.
"""
