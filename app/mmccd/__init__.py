"""Masked modality cycles with conditional diffusion: unsupervised anomaly segmentation in brain
MRI.
"""

import lazy_loader

NOTICE = "Research use only. Not a medical device. Not for diagnosis."

_lazy, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["NOTICE", "__version__"]


def __getattr__(name: str) -> object:
    if name == "__version__":
        # The version stands in setup.cfg and nowhere else; reading it takes longer than all the
        # rest of this module.
        from importlib.metadata import version

        globals()[name] = version("mmccd")
        return globals()[name]
    return _lazy(name)
