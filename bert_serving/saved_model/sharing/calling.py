"""Usage examples for a model card: commands and programs that can be run unchanged."""

from bert_serving.contract import LABEL, PROBABILITIES, SERVING_DEFAULT, TEXT, TEXT_PAIR, Head
from bert_serving.saved_model.manifest import Manifest

GRPC_ADDRESS = "localhost:8500"
REST_ADDRESS = "localhost:8501"
_TF_SERVING = "2.20.0"
_TEXT, _PAIR = "the text to read", "the text beside it"


def calling_guide(manifest: Manifest) -> list[str]:
    """Lines of Markdown: how to serve a classifier and call it over gRPC, over REST and in Python."""
    name, version = manifest.name, manifest.version
    return [
        "## How to call it",
        "",
        f"Put this folder at `models/{name}/{version}` and serve it with the stock server:",
        "",
        *_block(
            "",
            f"docker run -p 8500:8500 -p 8501:8501 -v $PWD/models/{name}:/models/{name} -e MODEL_NAME={name} "
            f"tensorflow/serving:{_TF_SERVING}",
        ),
        "",
        _answers(manifest.head),
        "",
        "### REST",
        "",
        *_block("", f"curl -d '{_rest_body(manifest)}' http://{REST_ADDRESS}/v1/models/{name}:predict"),
        "",
        "### gRPC",
        "",
        "With the client of bert-serving:",
        "",
        *_block("python", _grpc_client(manifest)),
        "",
        "With the package tensorflow-serving-api alone:",
        "",
        *_block("python", _grpc_plain(manifest)),
        "",
        "### Python",
        "",
        "Without a server, with the packages tensorflow and tensorflow-text:",
        "",
        *_block("python", _in_python(manifest)),
    ]


def encoder_guide(sequence_length: int) -> list[str]:
    """Lines of Markdown: how to start a run from an encoder folder, and how to compute embeddings with it in Python."""
    return [
        "## How to use it",
        "",
        "As the start of another classifier, in a run file of bert-serving:",
        "",
        *_block("toml", "[encoder]", 'path = "this/folder"', f"sequence_length = {sequence_length}"),
        "",
        "In Python, from inside the folder, with the packages tensorflow and tensorflow-text; both SavedModels have TF Hub's format "
        "for text, so that `hub.KerasLayer` takes them, too:",
        "",
        *_block(
            "python",
            "import tensorflow as tf",
            "import tensorflow_text  # registers the operations of the tokenizer",
            "",
            'preprocess = tf.saved_model.load("preprocessing")',
            'encoder = tf.saved_model.load("encoder")',
            f'words = preprocess.tokenize(tf.constant(["{_TEXT}"]))',
            f"outputs = encoder(preprocess.bert_pack_inputs([words], tf.constant({sequence_length})))",
            'print(outputs["pooled_output"].shape, outputs["sequence_output"].shape)',
        ),
    ]


def _answers(head: Head) -> str:
    match head:
        case Head.REGRESSION:
            return f"Each text gets its number in `{PROBABILITIES}`, and as text in `{LABEL}`."
        case Head.MULTILABEL:
            answer = "all labels with a probability of 0.5 and more, joined by commas"
        case _:
            answer = "the likeliest label"
    return f"Each text gets `{LABEL}`, {answer}, and `{PROBABILITIES}`, one for each label in the order of the labels above."


def _rest_body(manifest: Manifest) -> str:
    if manifest.pairs:
        return f'{{"instances": [{{"{TEXT}": "{_TEXT}", "{TEXT_PAIR}": "{_PAIR}"}}]}}'
    return f'{{"instances": ["{_TEXT}"]}}'


def _grpc_client(manifest: Manifest) -> str:
    pairs = f', text_pairs=["{_PAIR}"]' if manifest.pairs else ""
    return "\n".join(
        [
            "from bert_serving.clients.grpc_client import GrpcClient",
            "",
            f'with GrpcClient("{GRPC_ADDRESS}") as client:',
            f'    answer = client.predict("{manifest.name}", ["{_TEXT}"]{pairs})[0]',
            "print(answer.label, answer.probabilities)",
        ]
    )


def _grpc_plain(manifest: Manifest) -> str:
    return "\n".join(
        [
            "import grpc",
            "import tensorflow as tf",
            "from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc",
            "",
            "request = predict_pb2.PredictRequest()",
            f'request.model_spec.name = "{manifest.name}"',
            *(
                f'request.inputs["{name}"].CopyFrom(tf.make_tensor_proto(["{text}"]))'
                for name, text in _inputs(manifest).items()
            ),
            f'stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel("{GRPC_ADDRESS}"))',
            "answer = stub.Predict(request, timeout=30)",
            f'print(answer.outputs["{LABEL}"].string_val[0].decode(), answer.outputs["{PROBABILITIES}"].float_val)',
        ]
    )


def _in_python(manifest: Manifest) -> str:
    inputs = ", ".join(f'{name}=tf.constant(["{text}"])' for name, text in _inputs(manifest).items())
    return "\n".join(
        [
            "import tensorflow as tf",
            "import tensorflow_text  # registers the operations of the tokenizer",
            "",
            f'model = tf.saved_model.load("models/{manifest.name}/{manifest.version}")',
            f'answer = model.signatures["{SERVING_DEFAULT}"]({inputs})',
            f'print(answer["{LABEL}"].numpy()[0].decode(), answer["{PROBABILITIES}"].numpy()[0])',
        ]
    )


def _inputs(manifest: Manifest) -> dict[str, str]:
    return {TEXT: _TEXT, TEXT_PAIR: _PAIR} if manifest.pairs else {TEXT: _TEXT}


def _block(language: str, *lines: str) -> list[str]:
    return [f"```{language}", *lines, "```"]
