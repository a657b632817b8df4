"""Files to tables, arrays and images."""
