"""ModernBERT: rotary positions, gated dense layers, local and global attention.

Warner et al. 2024, "Smarter, Better, Faster, Longer" (https://arxiv.org/abs/2412.13663); the Ettin encoders are the same network.
"""
