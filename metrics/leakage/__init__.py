"""Does it give real records away? One metric a file."""
