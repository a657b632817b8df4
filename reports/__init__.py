"""Reports: the record and the outputs made from it."""
