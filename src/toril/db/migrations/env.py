"""What Alembic runs for every command: on the connection that ``toril.db.migrate`` has opened and locked."""

from __future__ import annotations

from alembic import context

from toril.db import models


def migrate() -> None:
    """Run the migrations that were asked for, in the transaction the connection is in."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=models.Firm.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    context.run_migrations()


# Alembic's name for this module, which may also be imported like any other.
if __name__ == "env_py":
    migrate()
