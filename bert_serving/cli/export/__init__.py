"""Commands that export models and check exports."""
