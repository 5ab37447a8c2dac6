"""The two MONAI bundles that are installed with the package: configs, docs and the weights that
ship.
"""
