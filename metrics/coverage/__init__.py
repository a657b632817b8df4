"""Is everything there? One metric a file."""
