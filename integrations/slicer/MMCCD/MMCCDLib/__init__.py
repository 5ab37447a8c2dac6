"""What the module does without Slicer: the command, its progress, its result."""
