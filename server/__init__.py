"""Sixfold: server."""
