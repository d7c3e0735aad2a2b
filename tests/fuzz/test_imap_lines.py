"""Random octets from a client: the assembler and every grammar answer with a value or Malformed, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from roost.errors import BadCharset, InvalidName, Malformed
from roost.imap import fetch_items, mailbox_name, search_keys, seqset
from roost.imap.args import Args
from roost.imap.assembler import Assembler, Complete, LineTooLong, Literal
from roost.imap.list_match import compile_patterns

PIECES = st.one_of(
    st.sampled_from(
        [
            b"a ", b"UID ", b"FETCH ", b"SEARCH ", b"STORE ", b"1:* ", b"(FLAGS) ", b"BODY[", b"]", b"<0.1>", b"(",
            b")", b'"', b"\\", b"{3}\r\n", b"{3+}\r\n", b"~{2+}\r\n", b"abc", b"\r\n", b"\n", b"\r", b" ", b"\x00",
            b"\xff", b"CHARSET UTF-8 ", b"OR ", b"NOT ", b"TEXT ", b"HEADER.FIELDS ", b"&AOk-", b"*", b"%",
            b"{99999}\r\n", b"$",
        ]
    ),
    st.binary(max_size=6),
)  # fmt: skip


def fetch(args: Args) -> None:
    args.space()
    args.seqset()
    args.space()
    fetch_items.parse(args)


def search(args: Args) -> None:
    args.space()
    search_keys.parse(args)


def store(args: Args) -> None:
    args.space()
    args.seqset()
    args.space()
    args.atom()
    args.space()
    args.flag_list()


def append(args: Args) -> None:
    args.space()
    args.mailbox()
    args.space()
    if args.peek() == 0x28:
        args.flag_list()
        args.space()
    if args.peek() == 0x22:
        args.date_time()
        args.space()
    args.literal()


def listing(args: Args) -> None:
    args.space()
    reference = mailbox_name.decode_pattern(args.astring())
    args.space()
    compile_patterns(reference, [mailbox_name.decode_pattern(args.list_mailbox())])("a/b")


READERS: tuple[Callable[[Args], None], ...] = (fetch, search, store, append, listing)


@settings(max_examples=200)
@given(st.lists(PIECES, max_size=25).map(b"".join), st.lists(st.integers(1, 120), max_size=6))
def test_a_hostile_client(stream: bytes, cuts: list[int]) -> None:
    assembler = Assembler(80, literal_memory_octets=30)
    start = 0
    for stop in [*sorted(cuts), len(stream)]:
        assembler.feed(stream[start:stop])
        start = max(start, stop)
        while (event := assembler.next_event()) is not None:
            if isinstance(event, Literal):
                if event.sync and event.size == 3:
                    assembler.refuse()
                elif not event.fits:
                    assembler.discard_literal()
            elif isinstance(event, Complete):
                assert len(event.raw) <= 80
                answer(event)
            else:
                assert isinstance(event, LineTooLong)


def answer(event: Complete) -> None:
    for read in READERS:
        args = Args(event)
        try:
            args.command()
            read(args)
            args.end()
        except (Malformed, BadCharset, InvalidName):
            continue


@given(st.binary(max_size=40))
def test_single_values(octets: bytes) -> None:
    for read in (seqset.parse, mailbox_name.decode):
        try:
            read(octets)
        except (Malformed, InvalidName):
            continue
    mailbox_name.decode_pattern(octets)
