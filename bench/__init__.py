"""Ours and PostgreSQL 15 side by side, in one run: `python -m bench`. Ratios and medians; see RESULTS.md."""
