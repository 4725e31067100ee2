"""A store in PostgreSQL with pgvector: one memory for many processes, machines and tenants."""

from memp.stores.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
