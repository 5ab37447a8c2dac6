from .archives import archive_of as archive_of, unpack as unpack
from .checkpoint import load_tensors as load_tensors
from .dicom.header import READ_ERRORS as READ_ERRORS, quiet as quiet
from .dicom.scan import DICOM_ENDINGS as DICOM_ENDINGS, Series as Series, scan as scan
from .dicom.select import choose as choose
from .dicom.starts import (
    files_below as files_below,
    holds_dicom as holds_dicom,
    looks_like_dicom as looks_like_dicom,
)
from .nifti import (
    is_nifti_name as is_nifti_name,
    read_nifti as read_nifti,
    write_nifti as write_nifti,
)
from .read import read_volume as read_volume
