"""Masked-language-model pretraining: an encoder from unlabeled text, new or continued."""
