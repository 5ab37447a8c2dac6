"""How fast the tool is on a machine, and what that is to be compared with (docs/benchmarks.md)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
