"""Find the brain: given mask, already stripped, or extraction by a network of our own (or by
HD-BET).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
