"""All roles read, aligned and encoded: from inputs to one corpus."""
