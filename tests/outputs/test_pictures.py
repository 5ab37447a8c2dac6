"""Pictures leave the host program's matplotlib as it was."""

from __future__ import annotations

import subprocess
import sys


def test_no_backend_is_chosen_at_import() -> None:
    code = (
        "import matplotlib; matplotlib.use('svg');"
        " import mmccd.outputs.report.overview, mmccd.outputs.dicom.capture,"
        " mmccd.benchmark.report, mmccd.evaluation.pictures;"
        " print(matplotlib.get_backend())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "svg"
