"""The names of what a viewer in a browser reads, and the scripts that the report's page shares."""

from __future__ import annotations

import gzip
from importlib import resources

VIEWER_FILE = "viewer.json"
VOLUMES = ("flair", "map", "brain", "returned")
"""Each a file ``NAME.nii.gz``; the reconstructed image only where there is one."""
SCRIPTS = {
    "niivue.js": "niivue/niivue.umd.js.gz",
    "segmentation.js": "segmentation.js",
    "viewing.js": "viewing.js",
}


def viewer_script(name: str) -> bytes:
    """A script that the report's page has, too: one of :data:`SCRIPTS`."""
    content = _stored(name)
    return gzip.decompress(content) if SCRIPTS[name].endswith(".gz") else content


def packed_viewer() -> bytes:
    """NiiVue's script, gzipped: a third of its size, and a browser can unpack it."""
    return _stored("niivue.js")


def _stored(name: str) -> bytes:
    page = resources.files("mmccd.outputs.report") / "page"
    return (page / SCRIPTS[name]).read_bytes()
