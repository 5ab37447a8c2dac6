"""The names of what a viewer in a browser reads, and the scripts that the report's page shares."""

from __future__ import annotations

import gzip
from importlib import resources

VIEWER_FILE = "viewer.json"
VOLUMES = ("flair", "map", "brain", "returned")
"""Each a file ``NAME.nii.gz``; the reconstructed image only where there is one."""
SCRIPTS = {"niivue.js": "niivue/niivue.umd.js.gz", "segmentation.js": "segmentation.js"}


def viewer_script(name: str) -> bytes:
    """A script that the report's page has, too: one of :data:`SCRIPTS`."""
    page = resources.files("mmccd.outputs.report") / "page"
    content = (page / SCRIPTS[name]).read_bytes()
    return gzip.decompress(content) if SCRIPTS[name].endswith(".gz") else content
