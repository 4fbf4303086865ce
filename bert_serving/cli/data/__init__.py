"""Commands that look at data."""
