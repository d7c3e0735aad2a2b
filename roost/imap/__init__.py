"""The IMAP grammar without I/O (RFC 9051, RFC 3501 and extensions): octets in, values out, and values to octets.

``assembler`` makes command lines of a stream, ``args`` reads them; ``seqset``, ``fetch_items``, ``search_keys`` (to
``criteria``), ``list_match``, ``mailbox_name``, ``flags`` and ``dates`` read what commands are made of; ``replies``,
``envelope`` and ``bodystructure`` write answers; ``codes`` is the table of response codes. No clock, socket or log.
"""
