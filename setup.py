"""The packages: all below ``app``, and the bundles with what they need at run time. Everything else
stands in setup.cfg.
"""

from setuptools import find_packages, setup

setup(packages=[*find_packages("app"), "mmccd.bundles"])
