"""doveadm's command lines: global options, commands of several words, options anywhere, usage errors."""

from __future__ import annotations

import pytest

from services.doveadm import cli
from services.doveadm.arguments import Usage, parse
from services.doveadm.command import FLAG, LIST, NUMBER, TEXT, Command, Option, Positional
from services.doveadm.commands import COMMANDS, load


def nothing(context: object, arguments: object) -> int:
    return 0


SAMPLE = Command(
    "sample",
    "",
    nothing,
    options=(
        Option("l", "list", FLAG, ""),
        Option("V", "verify", FLAG, ""),
        Option("s", "scheme", TEXT, "", "s"),
        Option("r", "rounds", NUMBER, "", "n"),
        Option("x", "info", LIST, "", "k=v"),
    ),
    positionals=(Positional("user"), Positional("more", needed=False, many=True)),
)


def test_options_may_stand_anywhere() -> None:
    arguments = parse(SAMPLE, ["-lV", "u", "-sPLAIN", "-r", "5", "a", "--info", "k=v", "--info=x", "--", "-l"])
    assert arguments.flag("list") and arguments.flag("verify")
    assert arguments.text("scheme") == "PLAIN" and arguments.number("rounds") == 5
    assert arguments.list("info") == ["k=v", "x"]
    assert arguments.text("user") == "u" and arguments.list("more") == ["a", "-l"]
    assert not arguments.given("other") and arguments.text("other", "d") == "d"


def test_a_lone_dash_is_an_argument() -> None:
    assert parse(SAMPLE, ["-"]).text("user") == "-"


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        ([], "missing argument: user"),
        (["-z", "u"], "unknown option: -z"),
        (["--nosuch", "u"], "unknown option: --nosuch"),
        (["-s"], "--scheme needs a value"),
        (["--list=1", "u"], "--list takes no value"),
        (["-r", "x", "u"], "-r needs a number"),
        (["-r", "-1", "u"], "-r needs a number"),
    ],
)
def test_wrong_lines(argv: list[str], text: str) -> None:
    with pytest.raises(Usage, match=text):
        parse(SAMPLE, argv)


def test_too_many_arguments() -> None:
    with pytest.raises(Usage, match="unexpected argument: y"):
        parse(SAMPLE._replace(positionals=(Positional("user"),)), ["x", "y"])


def test_every_row_of_the_table_has_its_file_and_every_file_its_row() -> None:
    from pathlib import Path

    folder = Path(cli.__file__).parent / "commands"
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert files == set(COMMANDS.values())
    for name in COMMANDS:
        command = load(name)
        assert command.name == name and command.summary
        shorts = [option.short for option in command.options]
        assert len(shorts) == len(set(shorts))


@pytest.mark.parametrize(
    ("argv", "text", "status"),
    [
        (["help"], "usage: doveadm", 0),
        (["--help"], "usage: doveadm", 0),
        (["help", "pw"], "doveadm pw [-l]", 0),
        (["help", "auth", "test"], "doveadm auth test", 0),
        (["help", "auth"], "usage: doveadm auth cache flush|cache status|login|lookup|test", 0),
        (["pw", "--help"], "doveadm pw [-l]", 0),
    ],
)
def test_help(capsys: pytest.CaptureFixture[str], argv: list[str], text: str, status: int) -> None:
    assert cli.main(argv) == status
    assert capsys.readouterr().out.startswith(text)


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        ([], "usage: doveadm"),
        (["auth"], "usage: doveadm auth cache flush|cache status|login|lookup|test"),
        (["auth", "-x"], "usage: doveadm auth cache flush|cache status|login|lookup|test"),
        (["wo"], "unknown command 'wo'; did you mean 'who'?"),
        (["auth", "tset"], "unknown command 'auth tset'; did you mean 'auth test'?"),
        (["relaod"], "did you mean 'reload'?"),
        (["zzzzzz"], "unknown command 'zzzzzz'\n"),
        (["help", "wo"], "unknown command 'wo'; did you mean 'who'?"),
        (["-z"], "unknown option: -z"),
        (["-c"], "-c needs a value"),
        (["pw", "-z"], "doveadm pw: unknown option: -z\nusage: doveadm pw [-l]"),
        (["auth test"], "missing argument: user"),
    ],
)
def test_wrong_use_is_status_64(capsys: pytest.CaptureFixture[str], argv: list[str], text: str) -> None:
    assert cli.main(argv) == 64
    assert text in capsys.readouterr().err


def test_a_missing_configuration_is_status_78(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["-c", "/nonexistent/roost.conf", "who"]) == 78
    assert "Fatal: " in capsys.readouterr().err


def test_a_bug_is_status_70_and_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(context: object, arguments: object) -> int:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(cli, "load", lambda name: SAMPLE._replace(run=broken))
    assert cli.main(["pw", "x"]) == 70
    assert capsys.readouterr().err == "Panic: internal error: ZeroDivisionError: oops (doveadm -D shows where)\n"
    with pytest.raises(ZeroDivisionError):
        cli.main(["-D", "pw", "x"])
