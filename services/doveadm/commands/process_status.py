"""doveadm process status: every process of the services, from the master."""

from __future__ import annotations

from roost.errors import Malformed, Unavailable
from roost.ipc.control import parse_process
from services.doveadm.arguments import Arguments
from services.doveadm.command import Command, Positional
from services.doveadm.context import Context
from services.doveadm.control import Master
from services.doveadm.output import Column

COLUMNS = (
    Column("name"),
    Column("pid", number=True),
    Column("available_count", number=True),
    Column("total_count", number=True),
    Column("idle_start", number=True),
    Column("last_status_update", number=True),
    Column("last_kill_sent", number=True),
    Column("state"),
    Column("clients", number=True),
    Column("born", number=True),
)


def run(context: Context, arguments: Arguments) -> int:
    with Master(context) as master:
        assert isinstance(master, Master)
        try:
            rows = [parse_process(fields) for fields in master.rows("PROCESS-STATUS", *arguments.list("service"))]
        except Malformed as error:
            raise Unavailable(error.client_text, detail=error.detail) from None
    context.rows(COLUMNS, (row.fields() for row in rows))
    return 0


COMMAND = Command(
    "process status",
    "show the services' processes",
    run,
    positionals=(Positional("service", needed=False, many=True),),
    formatter="table",
)
