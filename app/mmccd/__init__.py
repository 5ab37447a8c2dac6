"""Masked modality cycles with conditional diffusion: unsupervised anomaly segmentation in brain MRI."""

__version__ = "0.1.0"
