"""Databases that are asked in processes of their own: the auth room's side (``pool``, ``link``, ``proxy``) and the
service auth-worker (``main``, ``serving``, ``databases``, ``watchdog``). The lines between them are
``roost/ipc/auth_worker.py``.
"""
