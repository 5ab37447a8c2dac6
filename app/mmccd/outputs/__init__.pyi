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
from .report.view import RadiologicalView as RadiologicalView
from .report.viewer import write_viewer as write_viewer
from .report.viewer_files import (
    SCRIPTS as SCRIPTS,
    VIEWER_FILE as VIEWER_FILE,
    VOLUMES as VOLUMES,
    viewer_script as viewer_script,
)
from .report.write import write_outputs as write_outputs
