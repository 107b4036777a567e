"""What the streams of one sync share: the client, ids, cursors, and what was skipped."""
