"""Is this a right name and password at an IMAP server?

``conversation`` is what is said (no socket), ``connection`` says it: over TCP, with TLS from the first octet or by
STARTTLS, within a time, and never twice.
"""
