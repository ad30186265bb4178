"""Who did what to whom: the log that nobody can change unnoticed."""
