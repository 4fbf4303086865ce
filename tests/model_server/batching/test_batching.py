import asyncio
import gc
import threading
import time
import weakref

import numpy as np
import pytest
import tensorflow as tf
from support import serving_models

from bert_serving.errors import FailedPrecondition, InvalidRequest, ServerUnavailable
from bert_serving.model_server.batching.executor import Executor
from bert_serving.model_server.batching.merge import batch_rows, check_outputs, merge
from bert_serving.model_server.batching.task import token_estimate
from bert_serving.model_server.config.batching import PER_MODEL_FILE, BatchingParameters
from bert_serving.model_server.config.options import ModelConfig, ServerOptions
from bert_serving.model_server.inference.inference import Inference
from bert_serving.model_server.inference.servable import Servable
from bert_serving.model_server.models.loader import load_version
from bert_serving.model_server.models.versions import VersionRecord
from bert_serving.model_server.thread_pool import Workers


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return serving_models.write_tokens(tmp_path_factory.mktemp("tokens") / "1")


@pytest.fixture(scope="module")
def loaded(folder):
    return Servable.load(folder, name="tokens", version=1)


class Blocked:
    """A servable whose runs wait until the test sets `leave`, and record their inputs."""

    def __init__(self, servable, parameters):
        self.runs = []
        self.entered = threading.Event()
        self.leave = threading.Event()
        self.servable = Servable(
            name=servable.name,
            version=servable.version,
            signatures=servable.signatures,
            functions={name: self._watched(name, function) for name, function in servable.functions.items()},
            holder=servable.holder,
            batching=parameters,
        )

    def _watched(self, name, function):
        def run(**inputs):
            self.runs.append({key: value.numpy() for key, value in inputs.items()})
            self.entered.set()
            assert self.leave.wait(20)
            return function(**inputs)

        return run


def tokens(servable, *rows, outputs=("total", "length", "rows")):
    ids = np.array(rows, np.int32)
    return Inference(servable, "serving_default", {"ids": ids, "mask": np.ones_like(ids)}, outputs, dict)


def one_output(servable, signature, name, value):
    return Inference(servable, signature, {"x": np.array(value, np.float32)}, (name,), dict)


def run_behind(blocked, inferences, *, threads=1, clients=None, most_waiting=1000, on_batch=lambda _: None):
    """Answers, or errors, of inferences that queue up while a first one keeps the only thread."""

    async def gathered():
        executor = Executor(threads, most_waiting=most_waiting, on_batch=on_batch)
        try:
            first = asyncio.create_task(executor.run(one_output(blocked.servable, "scalar", "y", 1.0)))
            assert await asyncio.to_thread(blocked.entered.wait, 20)
            names = clients or [""] * len(inferences)
            waiting = [
                asyncio.create_task(executor.run(inference, name))
                for inference, name in zip(inferences, names, strict=True)
            ]
            await asyncio.sleep(0.02)
            blocked.leave.set()
            return (await asyncio.gather(first, *waiting, return_exceptions=True))[1:]
        finally:
            executor.close()

    return asyncio.run(gathered())


def plain(answers):
    return [{name: array.tolist() for name, array in answer.items()} for answer in answers]


# === Merging ===


def test_requests_that_wait_run_as_one_batch_and_each_gets_its_own_rows(loaded):
    blocked = Blocked(loaded, BatchingParameters())
    runs = []
    answers = run_behind(
        blocked,
        [tokens(blocked.servable, [1, 2]), tokens(blocked.servable, [3, 4], [5, 6])],
        on_batch=runs.append,
    )
    assert plain(answers) == [
        {"total": [3], "length": [2], "rows": [3]},
        {"total": [7, 11], "length": [2, 2], "rows": [3, 3]},
    ]
    assert [(run.rows, run.processed_rows, len(run.waits)) for run in runs] == [(1, 1, 1), (3, 3, 2)]
    assert all(wait >= 0 for run in runs for wait in run.waits)


def test_rows_of_unequal_length_are_padded_with_zeros_on_request(loaded):
    blocked = Blocked(loaded, BatchingParameters(pad_variable_length_inputs=True))
    answers = run_behind(blocked, [tokens(blocked.servable, [101, 7, 102]), tokens(blocked.servable, [101])])
    assert plain(answers) == [
        {"total": [210], "length": [3], "rows": [2]},
        {"total": [101], "length": [1], "rows": [2]},
    ]
    assert blocked.runs[1]["ids"].tolist() == [[101, 7, 102], [101, 0, 0]]
    assert blocked.runs[1]["mask"].tolist() == [[1, 1, 1], [1, 0, 0]]


def test_rows_of_unequal_length_run_apart_without_padding(loaded):
    blocked = Blocked(loaded, BatchingParameters())
    answers = run_behind(blocked, [tokens(blocked.servable, *rows) for rows in ([[1, 2]], [[3]], [[4, 5]], [[6], [7]])])
    assert [answer["rows"].tolist() for answer in answers] == [[2], [3], [2], [3, 3]]


def test_a_batch_is_padded_to_an_allowed_size_and_the_padding_dropped(loaded):
    blocked = Blocked(loaded, BatchingParameters(max_batch_size=8, allowed_batch_sizes=(4, 8)))
    runs = []
    answers = run_behind(
        blocked, [tokens(blocked.servable, [1], [2]), tokens(blocked.servable, [3])], on_batch=runs.append
    )
    assert plain(answers) == [
        {"total": [1, 2], "length": [1, 1], "rows": [4, 4]},
        {"total": [3], "length": [1], "rows": [4]},
    ]
    assert blocked.runs[1]["ids"].tolist() == [[1], [2], [3], [1]]
    assert (runs[1].rows, runs[1].processed_rows) == (3, 4)


def test_requests_for_other_outputs_do_not_share_a_batch(loaded):
    blocked = Blocked(loaded, BatchingParameters())
    answers = run_behind(
        blocked, [tokens(blocked.servable, [1], outputs=("total",)), tokens(blocked.servable, [2], outputs=("rows",))]
    )
    assert plain(answers) == [{"total": [1]}, {"rows": [1]}]


def test_a_batch_has_no_more_rows_than_allowed(loaded):
    blocked = Blocked(loaded, BatchingParameters(max_batch_size=3))
    answers = run_behind(blocked, [tokens(blocked.servable, [number]) for number in range(7)])
    assert [answer["rows"].tolist() for answer in answers] == [[3]] * 6 + [[1]]


def test_a_request_with_more_rows_than_allowed_is_refused_or_split(loaded):
    rows = [[number] for number in range(10)]
    blocked = Blocked(loaded, BatchingParameters(max_batch_size=4))
    (refusal,) = run_behind(blocked, [tokens(blocked.servable, *rows)])
    assert isinstance(refusal, InvalidRequest)
    assert str(refusal) == "Task size 10 is larger than maximum input batch size 4"
    blocked = Blocked(loaded, BatchingParameters(max_batch_size=4, enable_large_batch_splitting=True))
    (answer,) = run_behind(blocked, [tokens(blocked.servable, *rows)])
    assert answer["total"].tolist() == list(range(10))
    assert answer["rows"].tolist() == [4] * 8 + [2] * 2


def test_a_long_text_does_not_delay_the_short_ones_and_is_not_starved(loaded):
    blocked = Blocked(
        loaded, BatchingParameters(max_batch_size=2, max_batch_tokens=10, pad_variable_length_inputs=True)
    )
    long = tokens(blocked.servable, list(range(50)))
    run_behind(blocked, [long, *(tokens(blocked.servable, [number]) for number in range(4))])
    assert [run["ids"].shape for run in blocked.runs[1:]] == [(2, 1), (1, 50), (2, 1)]


def test_tokens_are_counted_besides_rows(loaded):
    blocked = Blocked(loaded, BatchingParameters(max_batch_tokens=10))
    run_behind(blocked, [tokens(blocked.servable, [1, 2, 3, 4]) for _ in range(5)])
    assert [len(run["ids"]) for run in blocked.runs[1:]] == [2, 2, 1]


@pytest.mark.parametrize(
    ("inputs", "tokens_"),
    [
        ({"text": np.array([b"a" * 400, b""], object)}, 102),
        ({"text": np.array([b""] * 5, object)}, 5),
        ({"ids": np.zeros((2, 30)), "mask": np.zeros((2, 30))}, 60),
        ({}, 1),
    ],
)
def test_tokens_are_estimated_from_bytes_and_elements(inputs, tokens_):
    assert token_estimate(inputs) == tokens_


# === One request does not spoil another ===


def test_only_the_bad_request_of_a_batch_gets_the_error(loaded):
    blocked = Blocked(loaded, BatchingParameters())
    good, bad, other = run_behind(
        blocked, [tokens(blocked.servable, [1]), tokens(blocked.servable, [-1]), tokens(blocked.servable, [2])]
    )
    assert (good["total"].tolist(), other["total"].tolist()) == ([1], [2])
    assert isinstance(bad, tf.errors.InvalidArgumentError)
    assert "a negative id" in bad.message


def test_an_unbatchable_signature_runs_its_requests_one_by_one(loaded):
    blocked = Blocked(loaded, BatchingParameters())
    values = [[1.0, 3.0], [5.0]]
    inferences = [one_output(blocked.servable, "mean", "mean", value) for value in values]
    assert [answer["mean"].item() for answer in run_behind(blocked, inferences)] == [2.0, 5.0]


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({"a": np.array(1.0)}, "must have at least one dimension"),
        ({"a": np.zeros(2), "b": np.zeros(3)}, "must have equal 0th-dimension size"),
    ],
)
def test_inputs_without_common_rows_are_refused(inputs, text):
    with pytest.raises(InvalidRequest, match=text):
        batch_rows(inputs)


@pytest.mark.parametrize(
    ("output", "text"), [(np.array(1.0), "has 0 dimensions"), (np.zeros(3), "does not equal the sum")]
)
def test_outputs_without_a_row_for_each_row_are_refused(output, text):
    with pytest.raises(FailedPrecondition, match=text):
        check_outputs({"a": output}, 2)


def test_strings_are_padded_with_empty_ones():
    merged = merge([{"s": np.array([[b"a", b"b"]], object)}, {"s": np.array([[b"c"]], object)}], rows=3)
    assert merged["s"].tolist() == [[b"a", b"b"], [b"c", b""], [b"c", b""]]


# === Waiting ===


def test_a_full_queue_evicts_tasks_of_a_client_that_floods_it(loaded):
    blocked = Blocked(loaded, BatchingParameters(max_batch_size=2, max_enqueued_batches=2))
    flood = [tokens(blocked.servable, [number]) for number in range(6)]
    answers = run_behind(blocked, [*flood, tokens(blocked.servable, [77])], clients=[*["greedy"] * 6, "modest"])
    refused = [isinstance(answer, ServerUnavailable) for answer in answers]
    assert refused == [False, False, False, True, True, True, False]
    assert (
        str(answers[4]) == "The batch scheduling queue to which this task was submitted is full; currently 2 batches "
        "enqueued and max_enqueued_batches is 2"
    )
    # Clients are served round-robin: the modest one is in the first batch after the wait.
    assert [run["ids"].ravel().tolist() for run in blocked.runs[1:]] == [[0, 77], [1, 2]]


def test_many_connections_give_a_host_no_larger_share_than_one(loaded):
    blocked = Blocked(loaded, BatchingParameters(max_batch_size=2, max_enqueued_batches=2))
    flood = [tokens(blocked.servable, [number]) for number in range(6)]
    clients = [*(f"ipv4:10.0.0.1:{port}" for port in range(6)), "ipv4:10.0.0.2:7"]
    answers = run_behind(blocked, [*flood, tokens(blocked.servable, [77])], clients=clients)
    refused = [isinstance(answer, ServerUnavailable) for answer in answers]
    assert refused[4:] == [True, True, False]
    assert refused[:4].count(True) == 1
    assert 77 in blocked.runs[1]["ids"].ravel().tolist()


def test_requests_of_many_lengths_share_one_bound(loaded):
    blocked = Blocked(loaded, BatchingParameters(max_batch_size=2, max_enqueued_batches=2))
    answers = run_behind(blocked, [tokens(blocked.servable, [1] * length) for length in range(1, 9)])
    assert [isinstance(answer, ServerUnavailable) for answer in answers] == [False] * 4 + [True] * 4
    assert "currently 2 batches enqueued and max_enqueued_batches is 2" in str(answers[7])


def test_each_signature_has_a_bound_of_its_own(loaded):
    blocked = Blocked(loaded, BatchingParameters(max_batch_size=2, max_enqueued_batches=2))
    flood = [tokens(blocked.servable, [number]) for number in range(5)]
    answers = run_behind(blocked, [*flood, one_output(blocked.servable, "mean", "mean", [3.0])])
    assert [isinstance(answer, ServerUnavailable) for answer in answers] == [False] * 4 + [True, False]


@pytest.mark.parametrize("cancelled", [1, 3])
def test_cancelled_requests_do_not_count_as_concurrent(loaded, cancelled):
    blocked = Blocked(loaded, BatchingParameters(batch_timeout_micros=3_000_000))
    runs = []

    async def ask():
        executor = Executor(1, most_waiting=10, on_batch=runs.append)
        first = asyncio.create_task(executor.run(tokens(blocked.servable, [1])))
        await asyncio.to_thread(blocked.entered.wait, 20)
        waiting = [asyncio.create_task(executor.run(tokens(blocked.servable, [2]))) for _ in range(cancelled)]
        await asyncio.sleep(0.01)
        for task in waiting:
            task.cancel()
        blocked.leave.set()
        await first
        await asyncio.sleep(0.6)  # longer than concurrent requests are remembered
        for number in (3, 4):
            await executor.run(tokens(blocked.servable, [number]))
        await asyncio.sleep(0)
        executor.close()

    asyncio.run(ask())
    assert [run["ids"].tolist() for run in blocked.runs] == [[[1]], [[3]], [[4]]]
    assert max(wait for run in runs for wait in run.waits) < 1.0


def test_without_batching_requests_run_one_by_one_from_a_bounded_queue(loaded):
    blocked = Blocked(loaded, None)
    answers = run_behind(blocked, [tokens(blocked.servable, [number]) for number in range(4)], most_waiting=3)
    assert [answer["rows"].tolist() for answer in answers[:3]] == [[1]] * 3
    assert isinstance(answers[3], ServerUnavailable)
    assert "3 requests are waiting already" in str(answers[3])


def test_a_request_that_is_cancelled_before_its_turn_is_not_computed(loaded):
    blocked = Blocked(loaded, None)

    async def cancel():
        executor = Executor(1, most_waiting=10)
        first = asyncio.create_task(executor.run(tokens(blocked.servable, [1])))
        await asyncio.to_thread(blocked.entered.wait, 20)
        second = asyncio.create_task(executor.run(tokens(blocked.servable, [2])))
        await asyncio.sleep(0.01)
        second.cancel()
        await asyncio.sleep(0.01)
        blocked.leave.set()
        third = await executor.run(tokens(blocked.servable, [3]))
        await first
        executor.close()
        return third

    assert asyncio.run(cancel())["total"].tolist() == [3]
    assert [run["ids"].tolist() for run in blocked.runs] == [[[1]], [[3]]]


def test_what_waits_is_refused_when_the_executor_closes(loaded):
    blocked = Blocked(loaded, None)

    async def close():
        executor = Executor(1, most_waiting=10)
        first = asyncio.create_task(executor.run(tokens(blocked.servable, [1])))
        await asyncio.to_thread(blocked.entered.wait, 20)
        second = asyncio.create_task(executor.run(tokens(blocked.servable, [2])))
        await asyncio.sleep(0.01)
        assert executor.busy
        assert executor.waiting == 1
        executor.close()
        blocked.leave.set()
        with pytest.raises(ServerUnavailable, match="stopping"):
            await second
        with pytest.raises(ServerUnavailable, match="stopping"):
            await executor.run(tokens(blocked.servable, [3]))
        return await first

    assert asyncio.run(close())["total"].tolist() == [1]


def test_only_concurrent_requests_wait_for_a_batch_to_fill(loaded):
    seconds = 0.4
    servable = Servable(
        **{**vars(loaded), "batching": BatchingParameters(batch_timeout_micros=400_000, max_batch_size=2)}
    )
    runs = []

    async def ask():
        executor = Executor(2, most_waiting=10, on_batch=runs.append)
        for _ in range(3):
            await executor.run(tokens(servable, [1]))
        await asyncio.gather(*(executor.run(tokens(servable, [1])) for _ in range(5)))
        executor.close()

    asyncio.run(ask())
    assert [run.rows for run in runs[:3]] == [1, 1, 1]
    assert all(run.waits[0] < seconds for run in runs[:3])
    assert sum(run.rows for run in runs[3:]) == 5
    assert max(run.rows for run in runs) == 2
    assert max(wait for run in runs for wait in run.waits) >= seconds  # the fifth waits for a sixth


def test_what_is_large_to_read_waits_for_a_thread_within_a_limit():
    leave = threading.Event()

    async def ask():
        workers = Workers(1, most_waiting=1)
        accepted = [asyncio.create_task(workers.run(leave.wait, 20)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ServerUnavailable, match="2 requests are waiting already"):
            await workers.run(leave.wait, 20)
        leave.set()
        answers = await asyncio.gather(*accepted)
        workers.close()
        return answers

    assert asyncio.run(ask()) == [True, True]


def test_an_answer_does_not_wait_for_those_who_measure(loaded):
    order = []

    async def ask():
        executor = Executor(1, most_waiting=10, on_batch=lambda run: order.append("measured"))
        await executor.run(tokens(loaded, [1]))
        order.append("answered")
        await asyncio.sleep(0)
        executor.close()

    asyncio.run(ask())
    assert order == ["answered", "measured"]


def test_an_executor_keeps_no_version_in_memory(folder):
    executor = Executor(1, most_waiting=10)
    servable = Servable.load(folder, name="tokens", version=1, batching=BatchingParameters())
    asyncio.run(executor.run(tokens(servable, [1])))
    gone = weakref.ref(servable)
    del servable
    deadline = time.monotonic() + 5
    while gone() is not None and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    assert gone() is None
    executor.close()


# === A model's own parameters ===


def test_with_per_model_parameters_a_model_without_a_file_is_not_batched(folder):
    batching = BatchingParameters(num_batch_threads=3, max_batch_tokens=55)
    options = ServerOptions(models=[ModelConfig("m", folder.parent)], batching=batching, per_model_batching=True)
    record = VersionRecord(1, folder)
    assert load_version("m", record, options).batching is None
    file = folder / PER_MODEL_FILE
    file.write_text("max_batch_size { value: 5 } num_batch_threads { value: 99 }")
    try:
        expected = BatchingParameters(max_batch_size=5, num_batch_threads=3, max_batch_tokens=55)
        assert load_version("m", record, options).batching == expected
    finally:
        file.unlink()
