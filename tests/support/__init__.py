"""What tests and benchmarks share: real servers, started and stopped by process id."""
