"""Groups compared at equal numbers of rows."""
