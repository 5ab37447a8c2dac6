from .bids.dataset import (
    WORK as WORK,
    check_dataset as check_dataset,
    dataset_name as dataset_name,
    write_dataset as write_dataset,
    write_table as write_table,
)
from .bids.names import Scan as Scan
from .bids.scan import publish_scan as publish_scan
from .choice import check_there_is_an_output as check_there_is_an_output
from .dicom.identity import MANUFACTURER as MANUFACTURER
from .folder import (
    DICOM as DICOM,
    MARKER as MARKER,
    NAMES as NAMES,
    STAGING as STAGING,
    check_output as check_output,
    remove_results as remove_results,
    remove_unfinished as remove_unfinished,
    staged_output as staged_output,
)
from .index.cases import IndexCase as IndexCase
from .index.write import INDEX as INDEX, INDEX_FILES as INDEX_FILES, write_index as write_index
from .place import place_file as place_file
from .report.view import RadiologicalView as RadiologicalView
from .report.viewer import write_viewer as write_viewer
from .report.viewer_files import (
    SCRIPTS as SCRIPTS,
    VIEWER_FILE as VIEWER_FILE,
    VOLUMES as VOLUMES,
    viewer_script as viewer_script,
)
from .report.write import write_outputs as write_outputs
from .viewers import write_viewer_files as write_viewer_files
