"""Quality control: of an input before it is judged (features, rules, findings), and of the image
that a method reconstructs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
