"""Frozen encoders of runs and of encoder folders."""

import pytest

from bert_serving.errors import EncoderError
from bert_serving.observer import Observer
from bert_serving.training.frozen_encoder import frozen_encoder, frozen_run_encoder


def test_a_run_brings_its_own_encoder_and_sequence_length(trained):
    frozen = frozen_run_encoder(trained.run)
    assert (frozen.name, frozen.sequence_length) == ("the encoder of tiny", 16)
    assert frozen_run_encoder(trained.run, 8).sequence_length == 8
    with pytest.raises(EncoderError, match="the sequence length for the encoder of tiny is 33"):
        frozen_run_encoder(trained.run, 33)


def test_an_encoder_folder_is_read_up_to_its_longest_sequence(trained, encoder_folder):
    frozen = frozen_encoder(str(encoder_folder), observer=Observer())
    assert (frozen.name, frozen.sequence_length) == ("tiny", 32)
    assert frozen.sha256 != frozen_run_encoder(trained.run).sha256, "fine-tuned weights are others"
