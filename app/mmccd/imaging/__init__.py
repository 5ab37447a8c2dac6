"""The model grid, normalisation, bias field: from a volume to slices and back."""
