"""Random requests for a model server, right ones among them."""

import json

from hypothesis import strategies as some
from tensorflow.core.example import example_pb2
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    input_pb2,
    model_management_pb2,
    model_pb2,
    predict_pb2,
)

MODEL = "m"
SIGNATURES = (
    "serving_default",
    "matrix",
    "two_outputs",
    "two_inputs",
    "strings",
    "kinds",
    "classify",
    "half_precision",
)
json_values = some.recursive(
    some.none()
    | some.booleans()
    | some.integers(-(2**70), 2**70)
    | some.floats()
    | some.text(max_size=8)
    | some.just({"b64": "YQ=="}),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from("xabsildu"), inner, max_size=5),
    max_leaves=12,
)
bodies = some.one_of(
    some.binary(max_size=60),
    some.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    some.fixed_dictionaries(
        {},
        optional={
            "instances": json_values,
            "inputs": json_values,
            "examples": json_values,
            "context": json_values,
            "signature_name": some.sampled_from(SIGNATURES) | json_values,
        },
    ).map(lambda body: json.dumps(body).encode("utf-8", "surrogatepass")),
)
paths = some.one_of(
    some.sampled_from(["predict", "classify", "regress"]).map(lambda method: f"/v1/models/m:{method}"),
    some.text(max_size=20).map(lambda text: f"/v1/models/{text}"),
    some.text(max_size=20),
)
shapes = some.lists(some.integers(-2, 4) | some.sampled_from([2**31, 2**62]), max_size=3)


@some.composite
def tensors(draw):
    """TensorProtos that fit together, or not."""
    proto = tensor_pb2.TensorProto(dtype=draw(some.sampled_from(sorted(types_pb2.DataType.values()))))
    for size in draw(shapes):
        proto.tensor_shape.dim.add(size=size)
    proto.tensor_shape.unknown_rank = draw(some.booleans()) and draw(some.booleans())
    match draw(some.sampled_from(["content", "float_val", "int_val", "string_val", "half_val", "scomplex_val", ""])):
        case "content":
            proto.tensor_content = draw(some.binary(max_size=24))
        case "string_val":
            proto.string_val.extend(draw(some.lists(some.binary(max_size=4), max_size=4)))
        case "int_val" | "half_val" as field:
            getattr(proto, field).extend(draw(some.lists(some.integers(-(2**31), 2**31 - 1), max_size=4)))
        case "float_val" | "scomplex_val" as field:
            getattr(proto, field).extend(draw(some.lists(some.floats(width=32), max_size=4)))
    return proto


@some.composite
def model_specs(draw, signatures=SIGNATURES):
    spec = model_pb2.ModelSpec(name=draw(some.sampled_from([MODEL, MODEL, MODEL, "", "no"])))
    spec.signature_name = draw(some.sampled_from([*signatures, "no", ""]))
    match draw(some.sampled_from(["", "", "version", "label"])):
        case "version":
            spec.version.value = draw(some.sampled_from([1, 1, 0, -1, 2**63 - 1]))
        case "label":
            spec.version_label = draw(some.text(max_size=4))
    return spec


@some.composite
def predict_requests(draw):
    request = predict_pb2.PredictRequest(model_spec=draw(model_specs()))
    for name, proto in draw(some.dictionaries(some.sampled_from("xabsildu"), tensors(), max_size=3)).items():
        request.inputs[name].CopyFrom(proto)
    request.output_filter.extend(draw(some.lists(some.sampled_from(["y", "z", "no"]), max_size=2)))
    return request


@some.composite
def examples(draw):
    example = example_pb2.Example()
    for name in draw(some.lists(some.sampled_from(["x", "a", "", "\u00e4"]), max_size=3)):
        feature = example.features.feature[name]
        match draw(some.sampled_from(["float", "int64", "bytes", ""])):
            case "float":
                feature.float_list.value.extend(draw(some.lists(some.floats(width=32), max_size=3)))
            case "int64":
                feature.int64_list.value.extend(draw(some.lists(some.integers(-(2**63), 2**63 - 1), max_size=3)))
            case "bytes":
                feature.bytes_list.value.extend(draw(some.lists(some.binary(max_size=5), max_size=3)))
    return example


@some.composite
def example_inputs(draw):
    given = input_pb2.Input()
    several = draw(some.lists(examples(), max_size=3))
    match draw(some.sampled_from(["list", "context", ""])):
        case "list":
            given.example_list.examples.extend(several)
        case "context":
            given.example_list_with_context.examples.extend(several)
            given.example_list_with_context.context.CopyFrom(draw(examples()))
    return given


@some.composite
def multi_inference_requests(draw):
    request = inference_pb2.MultiInferenceRequest(input=draw(example_inputs()))
    methods = ["tensorflow/serving/classify", "tensorflow/serving/regress", "tensorflow/serving/predict", ""]
    for _ in range(draw(some.integers(0, 3))):
        spec = draw(model_specs(signatures=("classify", "regress", "serving_default")))
        request.tasks.add(model_spec=spec, method_name=draw(some.sampled_from(methods)))
    return request


@some.composite
def metadata_requests(draw):
    fields = draw(some.lists(some.sampled_from(["signature_def", "signature_def", "", "no"]), max_size=2))
    return get_model_metadata_pb2.GetModelMetadataRequest(model_spec=draw(model_specs()), metadata_field=fields)


@some.composite
def status_requests(draw):
    return get_model_status_pb2.GetModelStatusRequest(model_spec=draw(model_specs()))


@some.composite
def reload_requests(draw, base_paths):
    """New configurations.

    Args:
        base_paths: what they may say of where the models are.
    """
    request = model_management_pb2.ReloadConfigRequest()
    if draw(some.booleans()) and draw(some.booleans()):
        request.config.custom_model_config.SetInParent()
    for _ in range(draw(some.integers(0, 2))):
        config = request.config.model_config_list.config.add(
            name=draw(some.sampled_from([MODEL, MODEL, "n", "", "a/b"])),
            base_path=draw(some.sampled_from(base_paths)),
            model_platform=draw(some.sampled_from(["tensorflow", "tensorflow", "", "other"])),
        )
        policy = config.model_version_policy
        match draw(some.sampled_from(["latest", "specific", "all", ""])):
            case "latest":
                policy.latest.num_versions = draw(some.integers(0, 3))
            case "specific":
                policy.specific.versions.extend(draw(some.lists(some.integers(-1, 3), max_size=2)))
            case "all":
                policy.all.SetInParent()
        if draw(some.booleans()):
            config.version_labels[draw(some.text(max_size=3))] = draw(some.integers(-1, 3))
    return request
