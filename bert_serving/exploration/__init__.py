"""Exploration of labeled text before training: classes, lengths, duplicates, leaks, and their page."""
