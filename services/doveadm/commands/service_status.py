"""doveadm service status: how each service stands, from the master."""

from __future__ import annotations

from roost.errors import Malformed, Unavailable
from roost.ipc.control import parse_service
from services.doveadm.arguments import Arguments
from services.doveadm.command import Command, Positional
from services.doveadm.context import Context
from services.doveadm.control import Master
from services.doveadm.output import Column

COLUMNS = (
    Column("name"),
    Column("process_count", number=True),
    Column("process_avail", number=True),
    Column("process_limit", number=True),
    Column("client_limit", number=True),
    Column("throttle_secs", number=True),
    Column("exit_failure_last", number=True),
    Column("exit_failures_in_sec", number=True),
    Column("last_drop_warning", number=True),
    Column("listen_pending"),
    Column("listening"),
    Column("doveadm_stop"),
    Column("process_total", number=True),
    Column("clients", number=True),
)


def run(context: Context, arguments: Arguments) -> int:
    wanted = arguments.list("service")
    with Master(context) as master:
        assert isinstance(master, Master)
        try:
            rows = [parse_service(fields) for fields in master.rows("SERVICE-STATUS")]
        except Malformed as error:
            raise Unavailable(error.client_text, detail=error.detail) from None
    context.rows(COLUMNS, (row.fields() for row in rows if not wanted or row.name in wanted))
    return 0


COMMAND = Command(
    "service status",
    "show the services' processes and limits",
    run,
    positionals=(Positional("service", needed=False, many=True),),
    formatter="pager",
)
