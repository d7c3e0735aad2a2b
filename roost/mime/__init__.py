"""MIME without I/O: header fields, addresses, the tree of parts by octet offsets, encodings and encoded words.

Nothing here raises for what a message contains, recurses as deep as a message says, or takes more than linear time;
what is too much is left out or shown as application/octet-stream, everywhere alike (``parts.Limits``).
"""
