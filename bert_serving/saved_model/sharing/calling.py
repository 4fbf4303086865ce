"""Usage examples for a model card: commands and programs that can be run unchanged."""

from collections.abc import Sequence

from bert_serving.contract import (
    LABEL,
    PROBABILITIES,
    SERVING_DEFAULT,
    TEXT,
    TEXT_PAIR,
    Head,
    Thresholds,
    joined_labels,
)
from bert_serving.saved_model.manifest import Manifest

GRPC_ADDRESS = "localhost:8500"
REST_ADDRESS = "localhost:8501"
_TF_SERVING = "2.20.0"
_TEXT, _PAIR = "the text to read", "the text beside it"


def calling_guide(manifest: Manifest) -> list[str]:
    """Lines of Markdown: how to serve a classifier and call it over gRPC, over REST and in Python."""
    name, version = manifest.name, manifest.version
    inputs = {TEXT: _TEXT, TEXT_PAIR: _PAIR} if manifest.pairs else {TEXT: _TEXT}
    instance = f'{{"{TEXT}": "{_TEXT}", "{TEXT_PAIR}": "{_PAIR}"}}' if manifest.pairs else f'"{_TEXT}"'
    pairs = f', text_pairs=["{_PAIR}"]' if manifest.pairs else ""
    request_inputs = "\n".join(
        f'request.inputs["{key}"].CopyFrom(tf.make_tensor_proto(["{text}"]))' for key, text in inputs.items()
    )
    arguments = ", ".join(f'{key}=tf.constant(["{text}"])' for key, text in inputs.items())
    return f"""\
## How to call it

Put this folder at `models/{name}/{version}` and serve it with the stock server:

```
docker run -p 8500:8500 -p 8501:8501 -v $PWD/models/{name}:/models/{name} -e MODEL_NAME={name} tensorflow/serving:{_TF_SERVING}
```

{_answer(manifest.head, manifest.labels, manifest.thresholds)}

### REST

```
curl -d '{{"instances": [{instance}]}}' http://{REST_ADDRESS}/v1/models/{name}:predict
```

### gRPC

With the client of bert-serving:

```python
from bert_serving.clients.grpc_client import GrpcClient

with GrpcClient("{GRPC_ADDRESS}") as client:
    answer = client.predict("{name}", ["{_TEXT}"]{pairs})[0]
print(answer.label, answer.probabilities)
```

With the package tensorflow-serving-api alone:

```python
import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

request = predict_pb2.PredictRequest()
request.model_spec.name = "{name}"
{request_inputs}
stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel("{GRPC_ADDRESS}"))
answer = stub.Predict(request, timeout=30)
print(answer.outputs["{LABEL}"].string_val[0].decode(), answer.outputs["{PROBABILITIES}"].float_val)
```

### Python

Without a server, with the packages tensorflow and tensorflow-text:

```python
import tensorflow as tf
import tensorflow_text  # registers the operations of the tokenizer

model = tf.saved_model.load("models/{name}/{version}")
answer = model.signatures["{SERVING_DEFAULT}"]({arguments})
print(answer["{LABEL}"].numpy()[0].decode(), answer["{PROBABILITIES}"].numpy()[0])
```""".splitlines()


def encoder_guide(sequence_length: int) -> list[str]:
    """Lines of Markdown: how to start a run from an encoder folder, and how to compute embeddings with it in Python."""
    return f"""\
## How to use it

As the start of another classifier, in a run file of bert-serving:

```toml
[encoder]
path = "this/folder"
sequence_length = {sequence_length}
```

In Python, from inside the folder, with the packages tensorflow and tensorflow-text; both SavedModels have TF Hub's format \
for text, so that `hub.KerasLayer` takes them, too:

```python
import tensorflow as tf
import tensorflow_text  # registers the operations of the tokenizer

preprocess = tf.saved_model.load("preprocessing")
encoder = tf.saved_model.load("encoder")
words = preprocess.tokenize(tf.constant(["{_TEXT}"]))
outputs = encoder(preprocess.bert_pack_inputs([words], tf.constant({sequence_length})))
print(outputs["pooled_output"].shape, outputs["sequence_output"].shape)
```""".splitlines()


def _answer(head: Head, labels: Sequence[str], thresholds: Thresholds) -> str:
    match head:
        case Head.REGRESSION:
            return f"Each text gets its number in `{PROBABILITIES}`, and as text in `{LABEL}`."
        case Head.MULTILABEL:
            form = "as a JSON list" if joined_labels(labels)[0] else "joined by commas"
            limit = "its threshold" if thresholds else "0.5"
            answer = f"all labels with a probability of {limit} and more, {form}"
        case _:
            answer = "the label that the thresholds above decide on" if thresholds else "the likeliest label"
    return f"Each text gets `{LABEL}`, {answer}, and `{PROBABILITIES}`, one for each label in the order of the labels above."
