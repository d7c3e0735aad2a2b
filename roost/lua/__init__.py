"""lib-lua: Lua scripts written for Dovecot, run inside an asyncio process.

``Script`` is one loaded script with its own Lua runtime; ``Api`` is one family of functions it is given; ``Pool``
serves calls by several runtimes of one script. ``docs/lua.md`` is the guide, for authors of scripts and for callers.
"""
