"""The decision network d, trained on synthetic anomalies on healthy slices, from a pack in memory
(``python -m mmccd.training.decision``) or of a data set (``bundles/decision``); real lesions are
for measuring it only.
"""
