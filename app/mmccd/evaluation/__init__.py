"""How good a method is, on what, against what: from cases and methods to tables, intervals and
figures.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
