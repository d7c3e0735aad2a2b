"""FETCH and UID FETCH (RFC 9051 §6.4.5, §6.4.9; CHANGEDSINCE: RFC 7162 §3.1.4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from roost.errors import MessagesGone
from roost.imap.args import Args
from roost.imap.seqset import SeqSet
from roost.util.ranges import Ranges
from services.imap.command import Command, State, Sync
from services.imap.fetch import body, rows
from services.imap.fetch import plan as plans
from services.imap.fetch.plan import Plan
from services.imap.fetch.seen import mark_seen
from services.imap.selected import Rows
from services.imap.session import Session

EXPUNGED = b"[EXPUNGEISSUED] Some messages were already expunged."


@dataclass(slots=True)
class ToFetch:
    wanted: SeqSet
    by_uid: bool
    plan: Plan


def parse(args: Args, *, by_uid: bool) -> ToFetch:
    """``SP sequence-set SP items [SP modifiers]``."""
    args.space()
    wanted = args.seqset()
    args.space()
    return ToFetch(wanted, by_uid, plans.parse(args, by_uid=by_uid))


async def run(session: Session, asked: ToFetch) -> bytes | None:
    view = session.selected
    found = view.uid_rows(asked.wanted) if asked.by_uid else view.rows(asked.wanted)
    if asked.plan.enables_condstore:
        session.enable_condstore()
    if not found:
        return None
    plan = asked.plan
    if session.condstore and plan.condstore is not None:
        plan = plan.condstore
    start, stop = found[0]
    if len(found) == 1 and stop - start == 1 and not (plan.sets_seen or (plan.sections and plan.whole is None)):
        count, returned = 1, await _write_one(session, plan, stop)
    else:
        count, returned = sum([stop - start for start, stop in found]), await _write(session, plan, found)
    if returned < count and plan.request.changed_since is None:
        return EXPUNGED
    return None


async def _write_one(session: Session, what: Plan, seq: int) -> int:
    """The short way of ``_write`` for one message, with nothing to mark and no section but BODY[]."""
    view = session.selected
    uid = view.uids[seq - 1]
    stream = view.mailbox.list_messages(Ranges.span(uid, uid), what.request)
    returned = 0
    try:
        async for batch in stream:
            if batch.uids:
                returned = 1
                if what.whole is None:
                    session.client.write(rows.render_one(view, batch, what.row, seq))
                else:
                    await body.write_one(session, what, batch, seq)
                if batch.headers is not None:
                    session.counters.hdr_count += 1
                    session.counters.hdr_octets += len(batch.headers[0])
    except MessagesGone:
        return 0
    finally:
        await stream.aclose()  # type: ignore[attr-defined]  # stores write generators
    return returned


async def _write(session: Session, what: Plan, found: Rows) -> int:
    """The rows of ``found``; how many messages were still there."""
    view, client = session.selected, session.client
    marks = what.sets_seen and not view.read_only
    returned = 0
    failure = None
    stream = view.mailbox.list_messages(view.uids_of(found), what.request)
    try:
        async for batch in stream:
            if not batch.uids:
                continue
            returned += len(batch.uids)
            seen = await mark_seen(session, batch) if marks else ()
            if what.sections:
                failure = await body.write_batch(session, what, batch, seen) or failure
            elif not seen or what.seen_row is what.row:
                client.write(rows.render(view, batch, what.row))
            else:
                client.write(rows.render_mixed(view, batch, what.row, what.seen_row, seen))
            if batch.headers is not None:
                session.counters.hdr_count += len(batch.uids)
                session.counters.hdr_octets += sum(map(len, batch.headers))
            if client.due():
                await client.turn()
    finally:
        await stream.aclose()  # type: ignore[attr-defined]  # stores write generators
    if isinstance(failure, MessagesGone):
        return 0
    if failure is not None:
        raise failure
    return returned


FETCH = Command(b"FETCH", State.SELECTED, partial(parse, by_uid=False), run, b"Fetch completed.", sync=Sync.KEEP)
UID_FETCH = Command(b"UID FETCH", State.SELECTED, partial(parse, by_uid=True), run, b"Fetch completed.", by_uid=True)
