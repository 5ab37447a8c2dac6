"""Many inputs: find them, run each once, by this process or others, and keep the account."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
