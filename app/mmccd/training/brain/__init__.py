"""The brain network: its training slices, its loss."""
