"""Contrastive training from a run file: runs of all heads, resumption, history and head."""

import pytest
from support.runs import Recorder, assert_same_weights, history_of, interrupt

from bert_serving.config import load_run_file
from bert_serving.training.run import train

CONTRASTIVE = ("training.method=contrastive", "head.pooling=mean", "training.batch_size=4")


def test_a_resumed_run_ends_with_the_weights_of_an_undisturbed_one(run_file, tmp_path, monkeypatch):
    config = load_run_file(run_file, CONTRASTIVE)
    recorder = Recorder()
    whole = train(config, tmp_path / "whole", observer=recorder).run
    print(history_of(whole))
