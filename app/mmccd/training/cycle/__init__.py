"""f and g trained together on slices in memory: corrupted input, clean target, within a budget.

The bundles' ``train.json`` trains on whole volumes with MONAI's engines; this room makes its slices
on the fly from label maps, on the device, and needs nothing but a pack.
"""
