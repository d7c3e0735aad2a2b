"""Log lines: the contract's frame, no forged lines, nothing cut in the middle of a character."""

from __future__ import annotations

import os

import pytest
from kit.worker import Lines

from roost.events import log as log_module
from roost.events.log import PIPE_BUF_OCTETS, Log, Sink, sanitize
from roost.proc.contract import LOG_LEVELS, LOG_LINE_MAX_OCTETS, LOG_MARK


def framed() -> Lines:
    lines = Lines()
    lines.sink.framed = True
    return lines


def test_levels_and_frame_are_the_contracts() -> None:
    lines = framed()
    log = lines.log("imap(bob)<1><abc>: ")
    log.debug("d")
    log.info("i")
    log.warning("w")
    log.error("e")
    log.fatal("f")
    written = lines.text.encode().splitlines()
    assert [line[:1] for line in written] == [LOG_MARK] * 5
    assert bytes(line[1] for line in written) == LOG_LEVELS[:5]
    assert written[1] == b"\x01Iimap(bob)<1><abc>: i"
    assert PIPE_BUF_OCTETS == LOG_LINE_MAX_OCTETS


def test_plain_form_alone() -> None:
    lines = Lines()
    lines.log("imap: ").warning("hot")
    assert lines.text == "imap: Warning: hot\n"


def test_debug_only_when_wanted() -> None:
    lines = Lines(debug=False)
    log = lines.log()
    log.debug("unseen")
    assert not log.debugging and lines.text == ""


@pytest.mark.parametrize("evil", ["a\nb", "a\r\nb", "a\x01Eb", "a\x00b", "a\x1b[2Jb", "a\x85b", "a\u2028b", "a\tb"])
def test_nobody_forges_a_line(evil: str) -> None:
    lines = framed()
    lines.log("x: ").child(f"imap({evil}): ").info(evil)
    written = lines.text
    assert written.count("\n") == 1 and written.endswith("\n")
    assert all(character.isprintable() for character in written[1:-1])


def test_sanitize_keeps_honest_text() -> None:
    assert sanitize("Grüße, 世界") == "Grüße, 世界"
    assert sanitize("a\nb") == "a\\x0ab"


def test_lone_surrogates_do_not_raise() -> None:
    lines = framed()
    lines.log("x: ").error("user \udcff")
    assert "user " in lines.text


def test_long_texts_are_split_within_pipe_buf_with_their_prefix() -> None:
    lines = framed()
    text = "ä€" * 5000
    lines.log("imap(bob): ").error(text)
    raw = lines.text.encode()
    parts = raw.split(b"\n")[:-1]
    assert len(parts) > 5
    assert all(len(part) + 1 <= PIPE_BUF_OCTETS and part.startswith(b"\x01Eimap(bob): ") for part in parts)
    assert b"".join(part[len(b"\x01Eimap(bob): ") :] for part in parts).decode() == text


def test_prefix_of_any_length_leaves_room() -> None:
    lines = framed()
    lines.log("p" * 9000).info("hello " * 100)
    assert "hello" in lines.text


def test_exception_logs_every_line_of_the_traceback() -> None:
    lines = framed()
    try:
        raise ValueError("two\nlines")
    except ValueError:
        lines.log("x: ").exception("It broke")
    written = lines.text.splitlines()
    assert written[0] == "\x01Ex: It broke"
    assert all(line.startswith("\x01Ex: ") for line in written)
    assert "ValueError: two" in written[-2] and "lines" in written[-1]


def test_a_gone_or_full_reader_costs_lines_not_the_process() -> None:
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    sink = Sink(write_fd)
    Log("x: ", sink).info("nobody hears")
    assert sink.lost_lines == 1
    os.close(write_fd)


def test_a_full_log_is_waited_for_once_then_lines_are_lost_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(log_module, "STALL_SECS", 0.01)
    monkeypatch.setattr(Sink, "_wait", lambda self: waits.append(1) or False)
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    os.set_blocking(read_fd, False)
    sink = Sink(write_fd)
    log = Log("x: ", sink)
    for number in range(5000):
        log.warning(f"{number:0100}")
    assert waits == [1] and sink.lost_lines > 0
    while True:
        try:
            os.read(read_fd, 65536)
        except BlockingIOError:
            break
    log.warning("again")
    written = os.read(read_fd, 65536).decode()
    assert "again" in written and f"{sink.lost_lines} lines were lost" in written
    os.close(read_fd)
    os.close(write_fd)


def test_child_and_extend() -> None:
    log = Lines().log("imap: ")
    assert log.child("other: ").prefix == "other: "
    assert log.extend("Mailbox INBOX: ").prefix == "imap: Mailbox INBOX: "
