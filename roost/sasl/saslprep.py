"""SASLprep (RFC 4013) of passwords, for SCRAM: both sides must hash the same octets.

ASCII without control characters stays as it is. What cannot be prepared (not UTF-8, prohibited or unassigned
characters, broken bidirectional text) is taken as the octets it is: such a password still works with a client that does
the same, instead of locking its user out.
"""

from __future__ import annotations

import stringprep
import unicodedata

_PROHIBITED = (
    stringprep.in_table_a1,  # unassigned in Unicode 3.2: a stored string must not have them
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def prepared(password: bytes) -> bytes:
    """The octets to hash."""
    if password.isascii():
        return password
    try:
        text = password.decode("utf-8")
    except UnicodeDecodeError:
        return password
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char for char in text if not stringprep.in_table_b1(char)
    )
    text = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if not text or any(table(char) for char in text for table in _PROHIBITED) or not _bidirectional(text):
        return password
    return text.encode("utf-8")


def _bidirectional(text: str) -> bool:
    """RFC 3454 §6: right-to-left text has no left-to-right letters, and begins and ends right-to-left."""
    if not any(stringprep.in_table_d1(char) for char in text):
        return True
    ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return ends and not any(stringprep.in_table_d2(char) for char in text)
