"""What resolving costs, measured side by side: `python -m benchmarks [part ...] [--quick]`, or `make bench`."""
