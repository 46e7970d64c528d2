"""Sixfold: wal."""
