"""Flag masks and their texts."""

from __future__ import annotations

from roost.imap import flags
from roost.imap.flags import FlagTexts
from roost.storage import api


def test_bits_are_those_of_the_storage_boundary() -> None:
    assert (flags.SEEN, flags.ANSWERED, flags.FLAGGED, flags.DELETED, flags.DRAFT) == (
        api.SEEN,
        api.ANSWERED,
        api.FLAGGED,
        api.DELETED,
        api.DRAFT,
    )
    assert api.KEYWORD_SHIFT == flags.KEYWORD_SHIFT
    assert {name.decode(): bit for bit, name in flags.SYSTEM_FLAGS if bit != flags.RECENT} == dict(api.SYSTEM_FLAGS)
    assert flags.RECENT >= 1 << (flags.KEYWORD_SHIFT + api.MAX_KEYWORDS)


def test_texts() -> None:
    texts = FlagTexts(["$Junk", "Foo"])
    assert texts[0] == b"()"
    assert texts[flags.SEEN | flags.ANSWERED] == b"(\\Answered \\Seen)"
    assert texts[flags.SEEN | flags.RECENT | 1 << 5 | 1 << 6] == b"(\\Seen \\Recent $Junk Foo)"
    assert texts[1 << 9] == b"()"  # beyond the table
    assert len(texts) == 4


def test_the_cache_of_texts_is_bounded() -> None:
    texts = FlagTexts([f"k{i}" for i in range(20)])
    for mask in range(10_000):
        assert texts[mask].startswith(b"(")
    assert len(texts) <= 4096


def test_every_mask_reads_back() -> None:
    keywords = ["$Forwarded", "NIL"]
    texts = FlagTexts(keywords)
    for mask in range(32 * 4):
        system, found = flags.parse_flags(texts[mask][1:-1].split())
        assert system | sum(1 << (5 + keywords.index(k)) for k in found) == mask


def test_rows_of_select() -> None:
    assert flags.flags_row(["x"]) == b"(\\Answered \\Flagged \\Deleted \\Seen \\Draft x)"
    assert flags.permanent_flags(["x"], writable=True, may_grow=True).endswith(b"\\Draft x \\*)")
    assert flags.permanent_flags(["x"], writable=True, may_grow=False).endswith(b"\\Draft x)")
    assert flags.permanent_flags(["x"], writable=False, may_grow=True) == b"()"
