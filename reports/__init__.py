"""Reports: the record and what is drawn from it."""
