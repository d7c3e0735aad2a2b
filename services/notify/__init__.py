"""The notify room: carries hints that a user's mail changed from the worker that changed it to those that watch.

Socket: ``notify`` (docs/protocols/notify.md). Settings: ``NotifySettings``. ``hub.py`` decides who is told (pure),
``outbox.py`` holds what a slow worker has not taken (pure), ``room.py`` the connections. Nothing here is durable, and
nothing needs to be: a hint only says "look", and who lost some is told to look at everything.
"""
