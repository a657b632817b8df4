"""counterproof audits synthetic data before it is released."""
