"""The page store: storage nodes, and the client that writes to a quorum and reads pages from one segment."""
