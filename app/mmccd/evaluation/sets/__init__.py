"""Several data sets in one table: every case of each, at thresholds that none of them chose."""
