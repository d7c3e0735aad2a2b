"""lmtp: takes mail from the MTA and puts it into mailboxes (LMTP, RFC 2033).

* **Sockets**: `lmtp` (UNIX, 0666) and, if given a port, `lmtp` (TCP, optionally TLS). LMTP has no login: whoever
  reaches a socket may deliver.
* **Promises**: after the message one reply for each recipient, in order, each only after that recipient's copy is
  durable. A crash before leaves nothing, after it at worst a duplicate. Our own trouble is never a 5xx.
* **Asks**: the auth service's userdb at RCPT (unknown users are refused there), the store at the end of the message.
* **Settings**: `roost/settings/schema/lmtp.py`. **Log**: `lmtp(user)<pid><session>: msgid=<…>: saved mail to INBOX`.

`commands/` one file a verb · `dispatch` line → row → reply, and the table of errors · `session` one client's
conversation · `connection` octets in and out · `spool` the message while it arrives · `deliver` and `steps/` one
recipient's delivery · `room` what all connections share · `main` the row for the frame. See also `docs/lmtp.md`.
"""
