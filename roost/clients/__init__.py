"""How a room reaches another room: one file for each, over its UNIX socket.

``auth.py`` logins and user lookups, ``notify.py`` hints of changes, ``anvil.py`` sessions; ``link.py`` is the lasting
connection they share. Every client goes on without its room, reconnects by itself and says so once in the log.
"""
