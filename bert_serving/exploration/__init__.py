"""Labeled text before training: classes, lengths, duplicates, leaks, and the page that shows them."""
