r"""Message content: one true end, bare LF made CR LF, everything else kept; any cut of the stream gives the same."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roost.smtp.data import ChunkReader, DataReader


def read(stream: bytes, cuts: list[int] | None = None) -> tuple[bytes, bytes | None]:
    reader = DataReader()
    out = b""
    edges = [0, *(cuts or []), len(stream)]
    for start, stop in pairwise(edges):
        if reader.rest is not None:
            reader.rest += stream[start:stop]
        else:
            out += reader.feed(stream[start:stop])
    return out, reader.rest


def reference(stream: bytes) -> tuple[bytes, bytes | None]:
    """The rules, one octet after the other, as slowly as they are written."""
    out = bytearray()
    at = 0
    line_start = True  # after a true CR LF, or at the beginning
    while at < len(stream):
        if line_start and stream.startswith(b".\r\n", at):
            return bytes(out), stream[at + 3 :]
        if line_start and stream[at] == 46:
            at += 1
            line_start = False
            continue
        line_start = False
        if stream.startswith(b"\r\n", at):
            out += b"\r\n"
            at += 2
            line_start = True
        elif stream[at] == 10:
            out += b"\r\n"
            at += 1
        else:
            out.append(stream[at])
            at += 1
    return bytes(out), None


CASES = [
    (b".\r\n", b"", b""),
    (b"a\r\n.\r\nQUIT\r\n", b"a\r\n", b"QUIT\r\n"),
    (b"..\r\n.\r\n", b".\r\n", b""),
    (b".a\r\n..b\r\n.\r\n", b"a\r\n.b\r\n", b""),
    (b"\r\n.\r\n.\r\n", b"\r\n", b".\r\n"),
    # not the end: bare LF, bare CR and mixtures (SMTP smuggling)
    (b"a\n.\nMAIL\r\n.\r\n", b"a\r\n.\r\nMAIL\r\n", b""),
    (b"a\n.\r\nMAIL\r\n.\r\n", b"a\r\n.\r\nMAIL\r\n", b""),
    (b"a\r\n.\nMAIL\r\n.\r\n", b"a\r\n\r\nMAIL\r\n", b""),
    (b"a\r.\rMAIL\r\n.\r\n", b"a\r.\rMAIL\r\n", b""),
    (b"a\r\n.\rMAIL\r\n.\r\n", b"a\r\n\rMAIL\r\n", b""),
    (b"a\r.\r\nMAIL\r\n.\r\n", b"a\r.\r\nMAIL\r\n", b""),
    (b"a\r\n\x00.\r\nMAIL\r\n.\r\n", b"a\r\n\x00.\r\nMAIL\r\n", b""),
    (b"a\r\r\n.\r\n", b"a\r\r\n", b""),
    # kept: NUL, 8-bit, bare CR
    (b"\x00\xff\rx\r\n.\r\n", b"\x00\xff\rx\r\n", b""),
    (b"x\ny\n\nz\r\n.\r\n", b"x\r\ny\r\n\r\nz\r\n", b""),
]


@pytest.mark.parametrize(("stream", "message", "rest"), CASES)
def test_cases(stream: bytes, message: bytes, rest: bytes) -> None:
    assert read(stream) == (message, rest)
    assert reference(stream) == (message, rest)
    assert read(stream, list(range(1, len(stream)))) == (message, rest)
    for cut in range(1, len(stream)):
        assert read(stream, [cut]) == (message, rest)


PIECES = st.lists(st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"x", b"\x00", b"\xe9", b"..", b".\r\n"]))


@settings(max_examples=200)
@given(PIECES, st.randoms(use_true_random=False))
def test_agrees_with_the_reference_at_any_cut(pieces: list[bytes], dice: random.Random) -> None:
    stream = b"".join(pieces)
    cuts = sorted(dice.randint(0, len(stream)) for _ in range(dice.randint(0, 6)))
    got, rest = read(stream, cuts)
    want, want_rest = reference(stream)
    assert rest == want_rest
    if rest is None:  # the last octets may still be held back
        assert want.startswith(got)
        assert len(want) - len(got) <= 4
    else:
        assert got == want


@settings(max_examples=100)
@given(st.binary(max_size=400))
def test_round_trip(body: bytes) -> None:
    body = body.replace(b"\r", b"").replace(b"\n", b"\r\n") + b"\r\n"
    wire = (b"\r\n" + body).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\nrest"
    assert read(wire) == (body, b"rest")


def test_long_line_without_loss() -> None:
    line = b"y" * 1_000_000
    stream = line + b"\r\n.\r\n"
    assert read(stream, list(range(0, len(stream), 4096))) == (line + b"\r\n", b"")


class TestChunks:
    def test_counts_octets_and_ignores_dots(self) -> None:
        reader = ChunkReader()
        reader.expect(9)
        assert reader.feed(b"a\r\n.\r\nb\r") == b"a\r\n.\r\nb"
        assert reader.rest is None
        assert reader.feed(b"\nBDAT") == b"\r\n"
        assert reader.rest == b"BDAT"

    def test_line_end_across_chunks(self) -> None:
        reader = ChunkReader()
        reader.expect(2)
        out = reader.feed(b"a\r")
        assert reader.rest == b""
        reader.expect(3)
        out += reader.feed(b"\nb\nNOOP\r\n")
        assert reader.rest == b"NOOP\r\n"
        assert out + reader.finish() == b"a\r\nb\r\n"

    def test_bare_lf_becomes_crlf_and_bare_cr_stays(self) -> None:
        reader = ChunkReader()
        reader.expect(8)
        assert reader.feed(b"a\nb\rc\x00\xff\r") + reader.finish() == b"a\r\nb\rc\x00\xff\r"
        assert reader.finish() == b""

    def test_empty_chunk(self) -> None:
        reader = ChunkReader()
        reader.expect(0)
        assert reader.feed(b"NEXT") == b""
        assert reader.rest == b"NEXT"

    @pytest.mark.parametrize("seed", range(30))
    def test_any_cut(self, seed: int) -> None:
        dice = random.Random(seed)
        body = bytes(dice.choice(b"\r\n.ab") for _ in range(60))
        reader = ChunkReader()
        out = b""
        at = 0
        while at < len(body):
            size = dice.randint(1, 20)
            size = min(size, len(body) - at)
            reader.expect(size)
            for i in range(at, at + size):
                out += reader.feed(body[i : i + 1])
            assert reader.rest == b""
            at += size
        out += reader.finish()
        whole = ChunkReader()
        whole.expect(len(body))
        assert out == whole.feed(body) + whole.finish()
        assert out.count(b"\n") == out.count(b"\r\n")
        assert out.replace(b"\r\n", b"\n") == body.replace(b"\r\n", b"\n")
