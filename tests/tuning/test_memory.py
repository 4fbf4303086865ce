"""What a run leaves in the process."""

import gc

import pytest
from tensorflow.python.framework import ops
from tensorflow.python.framework.func_graph import FuncGraph

from bert_serving.config import load_run_file
from bert_serving.training.run import train
from bert_serving.tuning.memory import released_memory


def graphs() -> int:
    return sum(isinstance(each, FuncGraph) for each in gc.get_objects())


@pytest.mark.slow
def test_runs_leave_no_graph_of_their_training_step(run_file, tmp_path):
    config = load_run_file(run_file, ["training.epochs=1"])
    found, registered = [], []
    for number in range(3):
        with released_memory():
            train(config, tmp_path / str(number), is_evaluated=False)
        found.append(graphs())
        registered.append(len(ops.gradient_registry.list()))
    assert found[1] == found[2]
    assert registered[1] == registered[2]
