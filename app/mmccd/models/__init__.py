"""Networks, noise schedule and sampler, noise, device and precision."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
