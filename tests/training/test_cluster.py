"""What TF_CONFIG says of the workers, and what is said where it is wrong."""

import json

import pytest

from bert_serving.errors import InputError
from bert_serving.training.cluster import parse_cluster

TWO = ["a:1", "b:2"]


def config(workers: object = TWO, index: object = 1, kind: str = "worker", **jobs: object) -> str:
    return json.dumps({"cluster": {"worker": workers} | jobs, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize("index", [0, 1, "1"])
def test_each_worker_knows_its_place(index):
    cluster = parse_cluster(config(index=index))
    assert cluster.addresses == ("a:1", "b:2")
    assert cluster.index == int(index)
    assert cluster.is_chief == (int(index) == 0)
    assert cluster.others == [1 - int(index)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "training.strategy 'multi_worker' needs TF_CONFIG, which is not set"),
        ("", "training.strategy 'multi_worker' needs TF_CONFIG, which is not set"),
        ("{", "TF_CONFIG is no JSON (Expecting property name"),
        ("[1]", "TF_CONFIG lacks the objects cluster and task, got [1]; expected such as"),
        ('{"cluster": {"worker": ["a:1"]}}', "TF_CONFIG lacks the objects cluster and task"),
        (config(chief=["c:1"]), "TF_CONFIG has the job 'chief'; name all workers under 'worker'"),
        (config(ps=["c:1"]), "TF_CONFIG has the job 'ps'"),
        (config([]), "TF_CONFIG has no list cluster.worker of addresses host:port"),
        (config("a:1"), "TF_CONFIG has no list cluster.worker of addresses host:port"),
        (config(["a", "b:1"]), "TF_CONFIG has no list cluster.worker of addresses host:port"),
        (config(["a:70000", "b:1"]), "TF_CONFIG has no list cluster.worker of addresses host:port"),
        (config(["a:1", "a:1"]), "TF_CONFIG names an address twice"),
        (config(kind="evaluator"), "TF_CONFIG has task.type 'evaluator', expected 'worker'"),
        (config(index=2), "TF_CONFIG has task.index 2, but cluster.worker has the indices 0 to 1"),
        (config(index=-1), "TF_CONFIG has task.index -1, but cluster.worker has the indices 0 to 1"),
        (config(index="first"), "TF_CONFIG has task.index 'first', expected a number"),
        (config(index=True), "TF_CONFIG has task.index True, expected a number"),
    ],
)
def test_a_cluster_that_is_wrong_is_refused_in_one_line(text, expected):
    with pytest.raises(InputError) as raised:
        parse_cluster(text)
    assert str(raised.value).startswith(expected)
    assert "\n" not in str(raised.value)
