"""Model status: the state of each version."""

import json

from google.protobuf import json_format
from tensorflow.core.protobuf import error_codes_pb2
from tensorflow_serving.apis import get_model_status_pb2, model_pb2

from bert_serving.errors import ServableNotFound
from bert_serving.model_server.models.store import ModelStore, check_spec


def model_status(store: ModelStore, spec: model_pb2.ModelSpec | None) -> get_model_status_pb2.GetModelStatusResponse:
    """State of the version that a spec names by number or label, or of all versions, highest first.

    Raises:
        InvalidRequest: no spec, no name in it, or an unknown label.
        ServableNotFound: an unknown model or version.
    """
    spec = check_spec(spec)
    records = store.versions(spec.name)
    if not records:
        raise ServableNotFound(f"Could not find any versions of model {spec.name}")
    version = store.chosen_version(spec)
    if version is not None:
        records = [record for record in records if record.version == version]
        if not records:
            raise ServableNotFound(f"Could not find version {version} of model {spec.name}")
    response = get_model_status_pb2.GetModelStatusResponse()
    for record in records:
        status = response.model_version_status.add(version=record.version, state=record.state).status
        status.error_code = error_codes_pb2.Code.Value(record.error_code)
        status.error_message = record.error_message
    return response


def status_json(response: get_model_status_pb2.GetModelStatusResponse) -> str:
    """The JSON form of the REST API, with all fields."""
    body = json_format.MessageToDict(
        response, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"
