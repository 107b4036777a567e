"""The connector measured as whole processes: `python -m benchmarks`, or `python -m benchmarks --quick`."""
