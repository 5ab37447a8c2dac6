"""Phantoms: brain anatomies to FLAIR, T1w and T2w by the signal equations, healthy or with
lesions.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
