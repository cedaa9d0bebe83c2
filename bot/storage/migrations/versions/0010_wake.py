"""On PostgreSQL, what is committed to the queues wakes every process that listens (bot.storage.listening).

Triggers, so that no way into a table can forget it. A transaction that is rolled back wakes nobody, and one that
writes a thousand rows of a kind says so once.
"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return  # one process: it wakes itself
    op.execute(
        "CREATE FUNCTION motcua_wake() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_notify('motcua', TG_ARGV[0]); RETURN NULL; END $$"
    )
    op.execute(
        "CREATE FUNCTION motcua_wake_outbox() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_notify('motcua', 'outbox:' || NEW.channel); RETURN NULL; END $$"
    )
    op.execute("CREATE TRIGGER motcua_wake AFTER INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION motcua_wake('inbox')")
    op.execute(
        "CREATE TRIGGER motcua_wake AFTER INSERT OR UPDATE OF state, not_before ON outbox FOR EACH ROW "
        "WHEN (NEW.state = 'waiting') EXECUTE FUNCTION motcua_wake_outbox()"
    )
    op.execute(
        "CREATE TRIGGER motcua_wake AFTER UPDATE OF version ON conversation FOR EACH ROW "
        "WHEN (OLD.version <> NEW.version) EXECUTE FUNCTION motcua_wake('desk')"
    )


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in ("inbox", "outbox", "conversation"):
        op.execute(f"DROP TRIGGER motcua_wake ON {table}")
    op.execute("DROP FUNCTION motcua_wake_outbox()")
    op.execute("DROP FUNCTION motcua_wake()")
