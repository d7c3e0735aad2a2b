"""The boundary between the authentication room and the databases behind it (``api``).

Password and user databases, Roost's own and those of others, implement the two protocols written there; a password
database that passes ``roost.testing.passdb`` serves every mechanism that needs clear text or a stored password.
"""
