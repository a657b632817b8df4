"""Does it treat groups alike? One metric a file."""
