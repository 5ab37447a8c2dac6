"""A result as DICOM objects that go back into the study it came from."""
