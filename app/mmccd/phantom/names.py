"""What a phantom may be asked for, for whoever only has to list it: nothing heavy is imported
here.
"""

from __future__ import annotations

HEALTHY, MIXED = "none", "mixed"
LESIONS = (HEALTHY, "glioma", "isointense", "ms", "stroke", MIXED)
"""No lesion, the kinds of :data:`~mmccd.phantom.KINDS`, any of them."""
