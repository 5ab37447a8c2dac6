"""All cases of a cohort on one page."""
