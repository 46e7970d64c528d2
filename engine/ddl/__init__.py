"""DDL: one module an object kind, each changing catalogue rows and trees within the transaction."""
