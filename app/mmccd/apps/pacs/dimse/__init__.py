"""The archive over DIMSE, the older of DICOM's two ways: a receiver of what is sent (C-STORE), an
archive that is asked (C-FIND) and that sends (C-MOVE, C-GET), results that are stored (C-STORE)
and promised to be kept (storage commitment), all of it over TLS where that is wanted.
"""
