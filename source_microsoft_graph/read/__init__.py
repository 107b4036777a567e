"""How a sync runs: which thread reads what, how records reach the output, what is said of progress."""
