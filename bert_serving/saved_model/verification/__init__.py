"""Whether an export does what its contract says, and which operations it needs."""
