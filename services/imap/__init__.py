"""imap: lets a user's client read and arrange mail (IMAP4rev1, RFC 3501, and the extensions of ``docs/imap.md``).

* **Sockets**: `imap` (TCP 143, STARTTLS) and `imaps` (TCP 993, TLS). One connection is one session.
* **Promises**: commands of a client are executed in the order they came. No OK before the store says durable. What
  another session changes is told at once in IDLE and else before the next tagged reply, EXPUNGE only where RFC 9051
  §7.5.1 allows it. What one client does, or leaves undone, costs bounded memory and other clients at most 5 ms.
* **Asks**: the auth service at login, anvil for the number of sessions, the store for everything; hints of changes by
  other processes come through the notify room.
* **Settings**: `roost/settings/schema/imap.py`. **Log**: `imap-login: Login: user=<u>, …` and
  `imap(u)<pid><session>: Disconnected: … in=… out=…`.

`commands/` one file a verb · `dispatch` line → row → reply, and the table of errors · `session` one client's
conversation · `selected` its view of sequence numbers · `fetch/` what FETCH answers · `connection` octets in and out ·
`login` how a session begins and ends · `room` and `shared` what all sessions have in common · `main` the row for the
frame · `__main__` the room alone, on stdin and stdout. See also `docs/imap.md`.
"""
