"""Server CPU per operation of the hot paths: Roost and, where installed, Debian's Dovecot in the same run.

``make bench`` (``python -m tests.bench``) starts each server in a private folder, drives it over TCP from one core
shared by client and server (small commands repeat within a few per cent there), checks every answer, prints medians.
"""
