"""The decision network d, trained on synthetic anomalies on healthy slices in memory; real lesions
are for measuring it only.
"""
