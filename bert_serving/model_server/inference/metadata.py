"""Model metadata: the signatures of a version."""

import json
from typing import TYPE_CHECKING

from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2

from bert_serving.errors import InvalidRequest

if TYPE_CHECKING:
    from bert_serving.model_server.inference.servable import Servable

SIGNATURE_DEF = "signature_def"


def check_metadata_request(request: get_model_metadata_pb2.GetModelMetadataRequest) -> None:
    """Checks a request without its model.

    Raises:
        InvalidRequest: no metadata field, or one other than `signature_def`.
    """
    if not request.metadata_field:
        raise InvalidRequest("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != SIGNATURE_DEF:
            raise InvalidRequest(f"Metadata field {field} is not supported")


def model_metadata(servable: "Servable") -> get_model_metadata_pb2.GetModelMetadataResponse:
    """Name, version and signatures of a version."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, signature in servable.signatures.items():
        signatures.signature_def[name].CopyFrom(signature)
    response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=servable.spec())
    response.metadata[SIGNATURE_DEF].Pack(signatures)
    return response


def metadata_json(response: get_model_metadata_pb2.GetModelMetadataResponse) -> str:
    """The JSON form of the REST API, with all fields; the signatures are nested twice."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata[SIGNATURE_DEF].Unpack(signatures)
    body = {
        "model_spec": {
            "name": response.model_spec.name,
            "signature_name": "",
            # 64-bit integers are strings in the JSON form of protobuf.
            "version": str(response.model_spec.version.value),
        },
        "metadata": {
            SIGNATURE_DEF: json_format.MessageToDict(
                signatures, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            )
        },
    }
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"
