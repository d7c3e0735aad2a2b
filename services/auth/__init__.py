"""The authentication room: says who somebody is, and where a user's mail lives. No other room sees a password database.

Sockets   ``auth-client`` (MTAs and other SASL clients), ``auth-login`` (our rooms; an OK also carries the userdb),
          ``auth-master`` (trusted: lookups by doveadm), ``auth-userdb`` (mail processes; others only about themselves).
          One page describes them: ``docs/protocols/auth.md``.
Settings  ``roost/settings/schema/auth.py``: ``auth_*``, ``passdb NAME { }``, ``userdb NAME { }``.
Log       ``auth(<user>,<ip>,sasl:<mech>)<session>: …``; failures only with ``auth_verbose``, passwords never.
Code      ``main`` the room · ``client`` and ``lookups`` the two protocols' connections · ``request`` one
          authentication · ``chain`` passdbs and userdbs in order · ``passdb/`` ``userdb/`` the drivers ·
          ``schemes/`` password hashes · ``hashing`` slow ones off the loop · ``failures`` delayed answers.
See also  ``roost/sasl`` (mechanisms), ``roost/clients/auth.py`` (what other rooms use).
"""
