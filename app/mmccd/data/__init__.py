"""Data sets: layouts on disk, splits by patient, slices for training, the phantom."""
