"""Sixfold: pagestore."""
