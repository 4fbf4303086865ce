"""Findings of the audit: labels and texts that are hardly what was meant."""
