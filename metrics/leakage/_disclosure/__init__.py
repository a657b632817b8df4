"""Attack rates against control and guess."""
