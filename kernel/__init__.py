"""The kernel: pages, redo, B-trees, visibility, expressions, executor and wire rows, in Rust (`_kernel.pyi` is its contract)."""
