"""A worker that the crash tests kill: it tells each step, and halts at a chosen one, to be killed there.

Arguments: database address, name, ISO time, number of the step to halt at (0: none). It works the inbox off, answers
each message, sends the answers (a send is a line "sent …" on stdout), and ends when nothing is left to do.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from itertools import count

from bot.storage import queue
from bot.storage.database import Database
from bot.storage.tables import Outbox

LEASE = timedelta(minutes=1)


def main(url: str, name: str, now: datetime, halt_at: int) -> None:
    database = Database(url)
    steps = count(1)

    def step(*words: object) -> None:
        print(*words, flush=True)
        if next(steps) == halt_at:
            sys.stdin.read()

    while True:
        with database.write() as session:
            claimed = queue.claim_inbox(session, owner=name, now=now, lease=LEASE)
            step("claiming")
        if not claimed:
            break
        (row,) = claimed
        incoming = queue.incoming_of(row)
        step("claimed", row.id)
        with database.write() as session:
            answer = Outbox(
                kind="reply", channel=incoming.channel, recipient=incoming.sender, dedupe_key=f"reply/{row.id}",
                body={"text": str(row.id), "buttons": []}, inbox_id=row.id, not_before=now, created_at=now,
            )  # fmt: skip
            queue.put_outbox(session, answer)
            step("put", row.id)
            if not queue.finish_inbox(session, row.id, name, now):
                raise RuntimeError("lost the claim")
            step("finishing", row.id)
        step("finished", row.id)
    while True:
        with database.write() as session:
            out = queue.claim_outbox(session, owner=name, now=now, lease=LEASE, channels=["telegram"])
        if out is None or out.id is None:
            break
        step("sent", out.id)
        with database.write() as session:
            queue.mark_sent(session, out.id, name, now, f"p{out.id}")
        step("marked", out.id)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], datetime.fromisoformat(sys.argv[3]), int(sys.argv[4]))
