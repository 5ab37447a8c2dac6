"""Look at an input before it is judged: features, rules, findings."""
