"""How fast the tool is on a machine, and what that is to be compared with (docs/benchmarks.md)."""
