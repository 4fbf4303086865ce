"""Masked-language-model pretraining: an encoder from unlabelled text, new or continued."""
