"""DICOM studies to volumes."""
