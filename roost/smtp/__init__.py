"""SMTP and LMTP grammar without I/O (RFC 5321, 2033, 1870, 2034, 3030, 6152, 6531): octets in, values and octets out.

* ``lines``   command lines out of a stream
* ``data``    the content after DATA (dots, line ends, the end) and of BDAT chunks
* ``address`` paths and mailboxes: ``<@relay:"a b"@example.org>``
* ``params``  parameters of MAIL and RCPT: ``SIZE=1234 BODY=8BITMIME``
* ``replies`` REPLIES: every reply once, with its enhanced status code
* ``trace``   the fields a final delivery prepends: Return-Path, Delivered-To, Received

Errors are ``Malformed`` and ``Refused`` whose ``code`` is the name of a row in ``REPLIES``.
"""
