"""Does it look like real data? One metric a file."""
