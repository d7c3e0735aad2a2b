"""The assembler: the same events however the octets are cut, and bounds that hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roost.imap.assembler import Assembler, Complete, LineTooLong, Literal


def told(event: object) -> tuple[object, ...]:
    if isinstance(event, Complete):
        return ("complete", event.raw, event.literals)
    if isinstance(event, Literal):
        return ("literal", event.size, event.sync, event.binary, event.fits, event.raw, event.literals)
    assert isinstance(event, LineTooLong)
    return ("too long", event.start)


def run(stream: bytes, cuts: list[int], *, line: int = 200, memory: int = 20) -> list[tuple[object, ...]]:
    """Feed ``stream`` cut at ``cuts``; a literal that does not fit is discarded."""
    assembler = Assembler(line, literal_memory_octets=memory)
    events = []
    ends = [*sorted(c for c in cuts if c < len(stream)), len(stream)]
    start = 0
    for end in ends:
        assembler.feed(memoryview(stream)[start:end])
        start = end
        while (event := assembler.next_event()) is not None:
            events.append(told(event))
            if isinstance(event, Literal) and not event.fits:
                assembler.discard_literal()
    return events


CASES = {
    b"a NOOP\r\n": [("complete", b"a NOOP", ())],
    b"a NOOP\n": [("complete", b"a NOOP", ())],
    b"\r\n\n\r\na NOOP\r\nb NOOP\r\n": [("complete", b"a NOOP", ()), ("complete", b"b NOOP", ())],
    b"a LOGIN {3+}\r\nfoo {2+}\r\nab\r\nb NOOP\r\n": [
        ("complete", b"a LOGIN \n \n", (b"foo", b"ab")),
        ("complete", b"b NOOP", ()),
    ],
    b"a LOGIN {3}\r\nfoo bar\r\n": [
        ("literal", 3, True, False, True, b"a LOGIN \n", ()),
        ("complete", b"a LOGIN \n bar", (b"foo",)),
    ],
    b"a X {0+}\r\n\r\n": [("complete", b"a X \n", (b"",))],
    b"a X ~{2+}\r\n\x00\r\r\n": [("complete", b"a X ~\n", (b"\x00\r",))],
    b"a X ({1+}\r\n)\r\n": [("complete", b"a X (\n", (b")",))],
    b"a APPEND {30+}\r\n" + b"x" * 30 + b"\r\nb NOOP\r\n": [
        ("literal", 30, False, False, False, b"a APPEND \n", ()),
        ("complete", b"a APPEND \n", (None,)),
        ("complete", b"b NOOP", ()),
    ],
    # Things that only look like literals.
    b'a X "{3}\r\nb NOOP\r\n': [("complete", b'a X "{3}', ()), ("complete", b"b NOOP", ())],
    b'a X "a\\" {3}\r\nb NOOP\r\n': [("complete", b'a X "a\\" {3}', ()), ("complete", b"b NOOP", ())],
    b"a X foo{3}\r\nb NOOP\r\n": [("complete", b"a X foo{3}", ()), ("complete", b"b NOOP", ())],
    b"a X }\r\n": [("complete", b"a X }", ())],
    b"a X {}\r\n": [("complete", b"a X {}", ())],
    b"a X {-1}\r\n": [("complete", b"a X {-1}", ())],
    b"a X {99999999999999999999}\r\n": [("complete", b"a X {99999999999999999999}", ())],
    b"a X {9999999999999999999}\r\n": [("complete", b"a X {9999999999999999999}", ())],
    b"a X {9223372036854775807}\r\n": [
        ("literal", 9223372036854775807, True, False, False, b"a X \n", ()),
    ],
    b"a X {9223372036854775808+}\r\nb NOOP\r\n": [
        ("literal", 9223372036854775807, False, False, False, b"a X \n", ()),
    ],
    b"a X {" + b"9" * 100 + b"+}\r\nb NOOP\r\n": [
        ("literal", 9223372036854775807, False, False, False, b"a X \n", ()),
    ],
    # A line that is too long takes the literals of its command with it.
    b"a" * 300 + b" {8+}\r\nc NOOP\r\n {3+}\r\nxyz)\r\nb NOOP\r\n": [("too long", None), ("complete", b"b NOOP", ())],
    b"a" * 198 + b" {008+}\r\nc NOOP\r\n\r\nb NOOP\r\n": [("too long", None), ("complete", b"b NOOP", ())],
    b"a" * 300 + b" {0+}\r\n\r\nb NOOP\r\n": [("too long", None), ("complete", b"b NOOP", ())],
    b"a" * 300 + b" {8}\r\nb NOOP\r\n": [("too long", None), ("complete", b"b NOOP", ())],
    b"a X {3+}\r\nfoo" + b"b" * 300 + b" {8+}\r\nc NOOP\r\n\r\nb NOOP\r\n": [
        ("too long", None),
        ("complete", b"b NOOP", ()),
    ],
    b"a X ~foo\r\n": [("complete", b"a X ~foo", ())],
    b"a" * 300 + b"\r\nb NOOP\r\n": [("too long", None), ("complete", b"b NOOP", ())],
    b"a" * 200 + b"\r\n": [("complete", b"a" * 200, ())],
    b"a" * 201 + b"\r\n": [("too long", None)],
}


@pytest.mark.parametrize("stream", CASES)
@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_events(stream: bytes, step: int) -> None:
    got = run(stream, list(range(step, len(stream), step)))
    assert [event if event[0] != "too long" else ("too long", None) for event in got] == CASES[stream]


@given(
    st.lists(st.sampled_from(sorted(key for key in CASES if len(key) < 99)), max_size=6).map(b"".join),
    st.lists(st.integers(1, 300), max_size=12),
)
def test_any_cut_gives_the_same_events(stream: bytes, cuts: list[int]) -> None:
    assert run(stream, cuts) == run(stream, [])


@given(st.binary(max_size=400), st.lists(st.integers(1, 400), max_size=10))
def test_any_octets_any_cut(stream: bytes, cuts: list[int]) -> None:
    whole = run(stream, [], line=60)
    cut = run(stream, cuts, line=60)
    assert [e[0] for e in whole] == [e[0] for e in cut]
    assert [e for e in whole if e[0] != "too long"] == [e for e in cut if e[0] != "too long"]


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=5), st.lists(st.integers(1, 300), max_size=8))
def test_literals_come_back(values: list[bytes], cuts: list[int]) -> None:
    stream = b"a X" + b"".join(b" {%d+}\r\n%s" % (len(v), v) for v in values) + b"\r\n"
    assert run(stream, cuts, memory=1000) == [("complete", b"a X" + b" \n" * len(values), tuple(values))]


@pytest.mark.parametrize("step", [1, 5, 100])
def test_a_streamed_literal_goes_to_its_sink(step: int) -> None:
    stream = b"a APPEND x {50}\r\n" + bytes(range(50)) + b" {3+}\r\nabc\r\n"
    assembler = Assembler(100, literal_memory_octets=10)
    got = bytearray()
    upload = object()
    done = []
    for start in range(0, len(stream), step):
        assembler.feed(stream[start : start + step])
        while (event := assembler.next_event()) is not None:
            if isinstance(event, Literal):
                assert (event.size, event.sync, event.fits) == (50, True, False)
                assembler.take_literal(got.extend, upload)
            else:
                done.append(event)
    assert bytes(got) == bytes(range(50))
    assert [(e.raw, e.literals) for e in done] == [(b"a APPEND x \n \n", (upload, b"abc"))]


def test_a_refused_literal_forgets_the_command() -> None:
    assembler = Assembler(100)
    assembler.feed(b"a LOGIN {3}\r\n")
    assert isinstance(assembler.next_event(), Literal)
    assembler.refuse()
    assembler.feed(b"b NOOP\r\n")
    event = assembler.next_event()
    assert isinstance(event, Complete)
    assert (event.raw, event.literals) == (b"b NOOP", ())


def test_a_big_literal_must_be_decided_on() -> None:
    assembler = Assembler(100, literal_memory_octets=10)
    assembler.feed(b"a X {11}\r\n")
    assembler.next_event()
    with pytest.raises(RuntimeError):
        assembler.next_event()
    with pytest.raises(RuntimeError):
        Assembler(100).discard_literal()


def test_what_fits_is_counted_for_the_whole_command() -> None:
    events = run(b"a X {15+}\r\n" + b"x" * 15 + b" {15+}\r\n" + b"y" * 15 + b"\r\n", [])
    assert events[0][:5] == ("literal", 15, False, False, False)
    assert events[1] == ("complete", b"a X \n \n", (b"x" * 15, None))
    assert run(b"a X {15+}\r\n" + b"x" * 15 + b"\r\n" * 2 + b"b X {15+}\r\n" + b"x" * 15 + b"\r\n", [])[-1][2] == (
        b"x" * 15,
    )


def test_line_length_is_that_of_all_pieces() -> None:
    assert run(b"a X" + b" {0+}\r\n" * 40 + b"\r\n", [])[0][0] == "too long"


def test_an_endless_line_keeps_little() -> None:
    assembler = Assembler(1000)
    events = []
    for _ in range(2000):
        assembler.feed(b"x" * 997)
        event = assembler.next_event()
        if event is not None:
            events.append(event)
        assert len(assembler._tail) + len(assembler._buf) <= 2100
    assert [type(event) for event in events] == [LineTooLong]
    assert events[0].start == b"x" * 256


def test_many_small_chunks_are_not_searched_again() -> None:
    """Quadratic work on 400,000 single octets would outlast the test's time."""
    assembler = Assembler(1 << 20)
    for _ in range(400_000):
        assembler.feed(b"x")
        assert assembler.next_event() is None
    assembler.feed(b"\n")
    event = assembler.next_event()
    assert isinstance(event, Complete)
    assert len(event.raw) == 400_000


def test_bare_lines_for_sasl() -> None:
    assembler = Assembler(20)
    assembler.feed(b"a AUTHENTICATE\r\n\r\nabc{3}\nDO")
    assert isinstance(assembler.next_event(), Complete)
    assert assembler.next_line() == b""
    assert assembler.next_line() == b"abc{3}"
    assert assembler.next_line() is None
    assembler.feed(b"NE\r\n")
    assert assembler.next_line() == b"DONE"
    assembler.feed(b"x" * 30)
    assert isinstance(assembler.next_line(), LineTooLong)
    assembler.feed(b"x\r\nb\r\n")
    assert assembler.next_line() == b"b"
    assembler.feed(b"y" * 21 + b"\r\n")
    assert isinstance(assembler.next_line(), LineTooLong)


def test_clear_forgets_what_was_sent_before_tls() -> None:
    assembler = Assembler(100)
    assembler.feed(b"a STARTTLS\r\nb LOGIN x y\r\nc NO")
    assembler.next_event()
    assert assembler.has_buffered
    assembler.clear()
    assert not assembler.has_buffered
    assembler.feed(b"d NOOP\r\n")
    event = assembler.next_event()
    assert isinstance(event, Complete)
    assert event.raw == b"d NOOP"


def test_reprs_say_what_they_are() -> None:
    assert repr(Complete(b"a NOOP")) == "Complete(b'a NOOP', 0 literals)"
    assert "Literal(3" in repr(Literal(3, True, False, True, b"a X \n", ()))


def test_a_flood_of_literals_in_a_line_that_is_too_long() -> None:
    flood = b"a X" + b" {0+}\r\n" * 50_000 + b"\r\nb NOOP\r\n"
    assert [event[:2] for event in run(flood, [70_000])] == [("too long", b"a X \n"), ("complete", b"b NOOP")]


def test_nothing_more_after_the_last_command() -> None:
    assembler = Assembler(1000)
    assembler.feed(b"a NOOP\r\nb NOOP\r\n")
    assert assembler.next_event() is not None and assembler.more()
    assert assembler.next_event() is not None and not assembler.more()
    assembler.feed(b"c NO")
    assert assembler.next_event() is None
    assembler.feed(b"OP\r\nd")
    event = assembler.next_event()
    assert isinstance(event, Complete) and event.raw == b"c NOOP" and assembler.more()
    assert assembler.next_event() is None
