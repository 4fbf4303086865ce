"""Commands that publish versions and roll them out."""
