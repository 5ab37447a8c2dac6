"""The application for hospitals: studies in, results and a status file out, with an exit code that
tells the truth.

MONAI Deploy's operators for DICOM are not used: ``DICOMSeriesToVolumeOperator`` takes the data type
of the first slice (16-bit voxels overflow, fractional slopes are cut off), exchanges row and column
spacing in the affine and accepts gaps; its loader drops slices at equal positions; its series
selector writes all attributes of the patient into the log; ``NiftiDataLoader`` drops the affine.
:mod:`mmccd.io` does these things, and the operators here call it.
"""
