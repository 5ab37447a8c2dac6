"""The commands, a module each: from values to rooms, and what is said of the result."""
