"""``mmccd serve``: a page on this machine where a scan is dropped and its result is looked at, over
a REST API that other programs may use, too (docs/serve.md).
"""
