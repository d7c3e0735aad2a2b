"""A private instance to try Roost with: ``python -I -m master.demo`` (``make run``).

It lays out a folder (``./var`` by default) with a configuration, a self-signed certificate, two demo users and their
mail, starts the real master in the foreground as whoever calls it, delivers a few messages through LMTP the first
time, and prints where to connect. It needs no root, and nothing of it is used by an installed Roost.
"""
