"""How good a method is, on what, against what: from cases and methods to tables, intervals and
figures.
"""
