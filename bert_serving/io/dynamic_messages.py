"""Protobuf messages that are built from descriptors at run time, without generated code."""

from collections.abc import Mapping
from typing import Any

_SCALARS = ("bool", "bytes", "double", "float", "int32", "int64", "string", "uint32", "uint64")

Fields = Mapping[str, tuple[int, str]]
"""field name to (number, type)

"repeated", "map" (its keys are strings) or "oneof" goes before the type. A type is a scalar of
protobuf, a message or enum of the same package, or the full name of a type of google.protobuf.
"""


def message_classes(
    package: str, messages: Mapping[str, Fields], enums: Mapping[str, Mapping[str, int]] | None = None
) -> dict[str, Any]:
    """Builds message classes in a descriptor pool of their own.

    A program may import the published messages of the same names too.

    Args:
        package: protobuf package of the messages.
        messages: fields by message name.
        enums: numbers by value name, by enum name; the first value of an enum has the number 0.

    Returns:
        message class by message name.
    """
    # Here and not with this module: the import takes a quarter of a second on a slow machine.
    from google.protobuf import (  # noqa: PLC0415  keeps the import of a client short
        any_pb2,
        descriptor_pb2,
        descriptor_pool,
        message_factory,
        wrappers_pb2,
    )

    pool = descriptor_pool.DescriptorPool()
    for published in (any_pb2, wrappers_pb2):
        pool.AddSerializedFile(published.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(
        name=f"bert_serving/{package}.proto",
        package=package,
        syntax="proto3",
        dependency=[any_pb2.DESCRIPTOR.name, wrappers_pb2.DESCRIPTOR.name],
    )
    for name, values in (enums or {}).items():
        enum = file.enum_type.add(name=name)
        for value, number in values.items():
            enum.value.add(name=value, number=number)
    for name, fields in messages.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            _add_field(file, message, field, number, kind)
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in messages}


def _add_field(file: Any, message: Any, name: str, number: int, kind: str) -> None:
    modifier, _, type_name = kind.rpartition(" ")
    field = message.field.add(name=name, number=number)
    field.label = field.LABEL_REPEATED if modifier in ("repeated", "map") else field.LABEL_OPTIONAL
    if modifier == "oneof":
        if not message.oneof_decl:
            message.oneof_decl.add(name="choice")
        field.oneof_index = 0
    if modifier == "map":
        entry = message.nested_type.add(name="".join(part.capitalize() for part in name.split("_")) + "Entry")
        entry.options.map_entry = True
        _add_field(file, entry, "key", 1, "string")
        _add_field(file, entry, "value", 2, type_name)
        type_name = f"{file.package}.{message.name}.{entry.name}"
    if type_name in _SCALARS:
        field.type = getattr(field, f"TYPE_{type_name.upper()}")
        return
    field.type = field.TYPE_ENUM if type_name in {enum.name for enum in file.enum_type} else field.TYPE_MESSAGE
    field.type_name = f".{type_name}" if "." in type_name else f".{file.package}.{type_name}"
