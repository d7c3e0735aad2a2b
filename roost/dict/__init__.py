"""Dictionaries: small key → value databases behind one interface, for scripts, quota, metadata, ``doveadm dict``.

``api.py`` is what callers and drivers promise one another, ``drivers/`` holds one driver a file, ``opening.py`` opens
what the configuration names. ``docs/dict.md`` is the administrator's page, ``roost/testing/dict.py`` the conformance
suite.
"""
