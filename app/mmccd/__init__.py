"""Masked modality cycles with conditional diffusion: unsupervised anomaly segmentation in brain MRI."""

__version__ = "0.1.0"

NOTICE = "Research use only. Not a medical device. Not for diagnosis."
