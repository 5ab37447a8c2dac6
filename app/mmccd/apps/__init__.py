"""The front doors: parse, call, translate errors; nothing else."""
