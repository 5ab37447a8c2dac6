"""The round trip with an archive: studies are fetched over DICOMweb or DIMSE, the application runs
on each, and its DICOM objects are stored in the same study.

Over DICOMweb it is a client and no receiver: the archive is the queue, so nothing is lost while
this service is down; it opens no port; and any archive that speaks DICOMweb will do (QIDO-RS to
find, WADO-RS to fetch, STOW-RS to store). ``dimse`` is for archives and scanners that do not.
"""
