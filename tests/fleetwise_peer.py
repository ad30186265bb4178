"""FleetWise's interface built from its public field numbers alone: what our codecs are held against.

Nothing here is ours but the names: messages are made from descriptors written out below, so that a number that
is wrong in proto/ is wrong against these.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_F = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "double": _F.TYPE_DOUBLE,
    "float": _F.TYPE_FLOAT,
    "bool": _F.TYPE_BOOL,
    "string": _F.TYPE_STRING,
    "uint32": _F.TYPE_UINT32,
    "uint64": _F.TYPE_UINT64,
    "int64": _F.TYPE_INT64,
    "sint32": _F.TYPE_SINT32,
    "sint64": _F.TYPE_SINT64,
    "enum": _F.TYPE_INT32,  # the same bytes
}
_VALUES = [
    ("double", "double"),
    ("bool", "boolean"),
    ("sint32", "int8"),
    ("uint32", "uint8"),
    ("sint32", "int16"),
    ("uint32", "uint16"),
    ("sint32", "int32"),
    ("uint32", "uint32"),
    ("sint64", "int64"),
    ("uint64", "uint64"),
    ("float", "float"),
    ("string", "string"),
]


def _values(first: int) -> str:
    return "\n".join(
        f"{kind} {name}_value {number} value"
        for number, (kind, name) in enumerate(_VALUES, start=first)
    )


# A line each: type (* for many), name, number, and the oneof it belongs to.
_MESSAGES = {
    "VehicleData": """
        string campaign_sync_id 1
        string decoder_sync_id 2
        uint32 collection_event_id 3
        uint64 collection_event_time_ms_epoch 4
        CapturedSignal* captured_signals 5
        DtcData dtc_data 6
        S3Object* s3_objects 9""",
    "CapturedSignal": """
        sint64 relative_time_ms 1
        uint32 signal_id 2 of
        PartCaptured primitive_type_in_signal 10 of
        double double_value 3 value
        string string_value 4 value""",
    "PartCaptured": "uint32 signal_id 1\nPath signal_path 2",
    "Path": "uint32* signal_path 1",
    "DtcData": "sint64 relative_time_ms 1\nstring* active_dtc_codes 2",
    "S3Object": "string key 1\nenum data_format 2",
    "Checkin": "string* document_sync_ids 1\nuint64 timestamp_ms_epoch 2",
    "CollectionSchemes": "CollectionScheme* collection_schemes 1\nuint64 timestamp_ms_epoch 2",
    "CollectionScheme": """
        string campaign_sync_id 1
        string decoder_manifest_sync_id 2
        uint64 start_time_ms_epoch 3
        uint64 expiry_time_ms_epoch 4
        TimeBased time_based 5 type
        ConditionBased condition_based 6 type
        uint32 after_duration_ms 7
        bool include_active_dtcs 8
        SignalInformation* signal_information 9
        bool persist_all_collected_data 11
        bool compress_collected_data 12
        uint32 priority 13
        StoreAndForward store_and_forward 17
        FetchInformation* signal_fetch_information 18
        string campaign_arn 19""",
    "TimeBased": "uint32 period_ms 1",
    "ConditionBased": """
        uint32 condition_minimum_interval_ms 1
        uint32 condition_language_version 2
        ConditionNode condition_tree 3
        enum condition_trigger_mode 4""",
    "SignalInformation": """
        uint32 signal_id 1
        uint32 sample_buffer_size 2
        uint32 minimum_sample_period_ms 3
        uint32 fixed_window_period_ms 4
        bool condition_only_signal 5
        Path signal_path 6
        uint32 data_partition_id 7""",
    "StoreAndForward": "PartitionConfiguration* partition_configuration 1",
    "PartitionConfiguration": "StorageOptions storage_options 1\nUploadOptions upload_options 2",
    "StorageOptions": """
        uint64 maximum_size_in_bytes 1
        string storage_location 2
        uint32 minimum_time_to_live_in_seconds 3""",
    "UploadOptions": "ConditionNode condition_tree 1",
    "FetchInformation": """
        uint32 signal_id 1
        TimedFetch time_based 2 config
        ConditionFetch condition_based 3 config
        uint32 condition_language_version 4
        ConditionNode* actions 5""",
    "TimedFetch": "uint64 max_execution_count 1\nuint64 execution_frequency_ms 2",
    "ConditionFetch": "ConditionNode condition_tree 1\nenum condition_trigger_mode 2",
    "ConditionNode": """
        NodeOperator node_operator 1 node
        NodeFunction node_function 2 node
        double node_double_value 3 node
        uint32 node_signal_id 4 node
        bool node_boolean_value 5 node
        Part node_primitive_type_in_signal 6 node
        string node_string_value 7 node""",
    "Part": "uint32 signal_id 1\nPath signal_path 2",
    "NodeOperator": "ConditionNode left_child 1\nConditionNode right_child 2\nenum operator 3",
    "NodeFunction": """
        WindowFunction window_function 1 type
        CustomFunction custom_function 3 type
        IsNullFunction is_null_function 4 type""",
    "WindowFunction": "uint32 signal_id 1 of\nPart part 3 of\nenum window_type 2",
    "CustomFunction": "string function_name 1\nConditionNode* params 2",
    "IsNullFunction": "ConditionNode expression 1",
    "DecoderManifest": """
        string sync_id 1
        CANSignal* can_signals 2
        OBDPIDSignal* obd_pid_signals 3
        ComplexType* complex_types 4
        ComplexSignal* complex_signals 5
        CustomDecodingSignal* custom_decoding_signals 6""",
    "CANSignal": """
        uint32 signal_id 1
        string interface_id 2
        uint32 message_id 3
        bool is_big_endian 4
        bool is_signed 5
        uint32 start_bit 6
        double offset 7
        double factor 8
        uint32 length 9
        enum primitive_type 10
        enum signal_value_type 11""",
    "OBDPIDSignal": """
        uint32 signal_id 1
        string interface_id 2
        uint32 pid_response_length 3
        uint32 service_mode 4
        uint32 pid 5
        double scaling 6
        double offset 7
        uint32 start_byte 8
        uint32 byte_length 9
        uint32 bit_right_shift 10
        uint32 bit_mask_length 11
        enum primitive_type 12
        enum signal_value_type 13
        bool is_signed 14""",
    "ComplexType": """
        uint32 type_id 1
        PrimitiveData primitive_data 2 variant
        ComplexStruct struct 3 variant
        ComplexArray array 4 variant
        StringData string_data 5 variant""",
    "PrimitiveData": "enum primitive_type 1\ndouble scaling 2\ndouble offset 3",
    "ComplexStruct": "Member* members 1",
    "Member": "uint32 type_id 1",
    "ComplexArray": "int64 size 1\nuint32 type_id 2",
    "StringData": "enum encoding 1\nint64 size 2",
    "ComplexSignal": """
        uint32 signal_id 1
        string interface_id 2
        string message_id 3
        uint32 root_type_id 4""",
    "CustomDecodingSignal": """
        uint32 signal_id 1
        string interface_id 2
        string custom_decoding_id 3
        enum primitive_type 4""",
    "StateTemplates": """
        string decoder_manifest_sync_id 2
        StateTemplate* state_templates_to_add 5
        string* state_template_sync_ids_to_remove 6
        uint64 version 7""",
    "StateTemplate": """
        string state_template_sync_id 1
        Empty on_change 3 strategy
        Periodic periodic 4 strategy
        uint32* signal_ids 5""",
    "Periodic": "uint64 period_ms 1",
    "Empty": "",
    "LastKnownStateData": """
        uint64 collection_event_time_ms_epoch 2
        CapturedState* captured_state_template_signals 6""",
    "CapturedState": "string state_template_sync_id 1\nStateSignal* captured_signals 2",
    "StateSignal": f"uint32 signal_id 1\n{_values(2)}",
    "CommandRequest": """
        string command_id 16
        uint64 timeout_ms 17
        Actuator actuator_command 18 command
        StateCommand last_known_state_command 19 command
        uint64 issued_timestamp_ms 20""",
    "Actuator": f"uint32 signal_id 1\nstring decoder_manifest_sync_id 2\n{_values(3)}",
    "StateCommand": "StateInformation* state_template_information 1",
    "StateInformation": """
        string state_template_sync_id 1
        Activate activate_operation 2 operation
        Empty deactivate_operation 3 operation
        Empty fetch_snapshot_operation 4 operation""",
    "Activate": "uint32 deactivate_after_seconds 1",
    "CommandResponse": """
        enum status 1
        string command_id 2
        uint32 reason_code 3
        string reason_description 4""",
}


def _made() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="fleetwise_peer.proto", package="peer", syntax="proto3"
    )
    for name, lines in _MESSAGES.items():
        message = file.message_type.add(name=name)
        oneofs: dict[str, int] = {}
        for line in filter(None, map(str.strip, lines.splitlines())):
            kind, field, number, *of = line.split()
            is_many = kind.endswith("*")
            kind = kind.removesuffix("*")
            added = message.field.add(
                name=field,
                number=int(number),
                label=_F.LABEL_REPEATED if is_many else _F.LABEL_OPTIONAL,
            )
            if kind in _TYPES:
                added.type = _TYPES[kind]
            else:
                added.type, added.type_name = _F.TYPE_MESSAGE, f".peer.{kind}"
            for oneof in of:
                if oneof not in oneofs:
                    oneofs[oneof] = len(oneofs)
                    message.oneof_decl.add(name=oneof)
                added.oneof_index = oneofs[oneof]
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"peer.{name}"))
        for name in _MESSAGES
    }


peer = _made()
