"""The redo stream outside the kernel: quorum, sender, tailer, recovery, and the runtime that all I/O goes through."""
