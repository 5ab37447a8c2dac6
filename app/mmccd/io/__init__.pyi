from .archives import archive_of as archive_of, unpack as unpack
from .checkpoint import load_tensors as load_tensors
from .dicom.classes import (
    MANUFACTURER as MANUFACTURER,
    is_image_class as is_image_class,
    is_ours as is_ours,
)
from .dicom.contrast import never_flair as never_flair
from .dicom.elements import READ_ERRORS as READ_ERRORS, Unvalidated as Unvalidated, quiet as quiet
from .dicom.origin import (
    ORIGIN_KEYWORDS as ORIGIN_KEYWORDS,
    Origin as Origin,
    by_visit as by_visit,
    differing as differing,
    joined as joined,
    origin_of as origin_of,
)
from .dicom.scan import DICOM_ENDINGS as DICOM_ENDINGS, Series as Series, scan as scan
from .dicom.select import (
    choose as choose,
    is_readable as is_readable,
    series_doubt as series_doubt,
)
from .dicom.starts import (
    broken_links as broken_links,
    files_below as files_below,
    holds_dicom as holds_dicom,
    is_absent as is_absent,
    looks_like_dicom as looks_like_dicom,
)
from .dicom.visits import Visit as Visit, one_visit as one_visit, visits as visits
from .itk_formats import is_volume_name as is_volume_name
from .nifti import (
    is_nifti_name as is_nifti_name,
    read_nifti as read_nifti,
    write_nifti as write_nifti,
)
from .read import read_volume as read_volume
