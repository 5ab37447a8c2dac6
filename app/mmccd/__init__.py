"""Masked modality cycles with conditional diffusion: unsupervised anomaly segmentation in brain
MRI.
"""

import warnings

__version__ = "0.1.0"

NOTICE = "Research use only. Not a medical device. Not for diagnosis."

# Where the MONAI Deploy App SDK is installed, every `import monai` loads Holoscan, which warns of a
# small stack. The application checks its stack
# itself (mmccd.apps.map.limits), and nothing else here runs a graph.
warnings.filterwarnings("ignore", "Current stack size", RuntimeWarning, r"holoscan\.core")
