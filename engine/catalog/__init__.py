"""The catalogue: PostgreSQL's system tables as stored rows, and snapshots of them for planning."""
