"""A study of a researcher: train a pair, calibrate it, evaluate it, in one resumable command."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
