"""Does it do the job of real data? One metric a file."""
