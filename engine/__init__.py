"""SQL text in, rows out: catalogue, analyzer, planner, sessions."""
