"""Gates and verdicts: from measurements to pass, fail or inconclusive."""
