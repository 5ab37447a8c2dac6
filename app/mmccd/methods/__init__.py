"""What finds anomalies in slices: the masked cycle and what it is measured against."""
