"""Which streams can be read, found out before any is read."""
