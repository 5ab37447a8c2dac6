"""Many inputs: find them, run each once, on one machine or several, and keep the account."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
