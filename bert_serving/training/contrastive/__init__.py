"""Contrastive training for few labels: the encoder learns which texts belong together, then the head is fitted."""
