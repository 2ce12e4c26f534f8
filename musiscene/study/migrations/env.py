"""Run by Alembic: the connection comes from `migrations.upgrade`."""

from alembic import context

from musiscene.study import schema
from musiscene.study.migrations import VERSION_TABLE

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=schema.metadata,
    version_table=VERSION_TABLE,
    render_as_batch=connection.dialect.name == "sqlite",
)
context.run_migrations()
