"""Options of earlier versions are still taken, with a line that names today's."""

import pytest
from support.tiny import VOCABULARY


@pytest.fixture
def vocabulary(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(VOCABULARY) + "\n", "utf-8")
    return path


@pytest.mark.slow
def test_former_options_make_the_same_encoder_and_name_the_new_ones(bert_serving, vocabulary, tmp_path):
    former = ("--layers", 1, "--width=8", "--heads", 2, "--inner-width", 12, "--positions", 16)
    ended = bert_serving("encoders", "new", "--vocabulary", vocabulary, *former, "--to", "former")
    assert ended.status == 0
    told = [line.strip() for line in ended.err.splitlines() if line.startswith("warning:")]
    assert told == [
        "warning: --layers is now --num-hidden-layers",
        "warning: --width is now --hidden-size",
        "warning: --heads is now --num-attention-heads",
        "warning: --inner-width is now --intermediate-size",
        "warning: --positions is now --max-position-embeddings",
    ]
    new = "--num-hidden-layers 1 --hidden-size 8 --num-attention-heads 2 --intermediate-size 12 --max-position-embeddings 16"
    ended = bert_serving("encoders", "new", "--vocabulary", vocabulary, *new.split(), "--to", "new")
    assert (ended.status, "warning" in ended.err) == (0, False)
    first, second = ((tmp_path / name / "encoder.json").read_text() for name in ("former", "new"))
    assert first == second


def test_a_former_option_of_one_command_is_unknown_to_others(bert_serving):
    ended = bert_serving("encoders", "list", "--layers", 1)
    assert ended.status == 2
    assert "No such option: --layers" in " ".join(ended.err.split())


def test_a_former_key_of_a_run_file_is_told_by_the_command(bert_serving, run_file):
    ended = bert_serving("train", run_file, "--set", "training.warmup_share=2", "--out", "run")
    assert ended.status == 2
    assert f"warning: {run_file}: training.warmup_share is now training.warmup_ratio" in " ".join(ended.err.split())
    assert "training.warmup_ratio" in ended.err
