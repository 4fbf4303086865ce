"""Operations that touch files, run code or talk to other processes: a server must not run them for a stranger's model.

Two uses are part of every SavedModel and excused: the saver reads and writes variables, which a server calls for its own files
alone, and a vocabulary is read from an asset of the SavedModel.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

# Read from the list of all operations of TensorFlow 2.2 to 2.20. Operations that only pass on what another of these opened (a
# reader's or a summary writer's handle) are left out.
_OPERATIONS_BY_REASON = {
    "runs Python of the process that made the graph": "PyFunc PyFuncStateless EagerPyFunc",
    "runs a program that the graph carries in a form which this audit cannot read": (
        "XlaCallModule XlaCustomCall XlaCustomCallV2 MlirPassthroughOp DatasetFromGraph XlaHostCompute _XlaHostComputeMlir "
        "TPUCompile _TPUCompileMlir TPUExecute TPUExecuteAndUpdateVariables TfLiteSubgraphExecute TRTEngineOp "
        "RemoteFusedGraphExecute"
    ),
    "has code compiled on the server and runs it": "XlaLaunch XlaLaunchV2 _XlaCompile _XlaRun",
    "ends the server's process": "Abort",
    "reads files": (
        "ReadFile MatchingFiles MatchingFilesDataset ExperimentalMatchingFilesDataset ImmutableConst RecordInput Skipgram "
        "FixedUnigramCandidateSampler GenerateVocabRemapping LoadAndRemapMatrix DecodeProtoV2 EncodeProto "
        "InitializeTableFromTextFile InitializeTableFromTextFileV2 Restore RestoreSlice RestoreV2 DTensorRestoreV2 "
        "TextLineReader TextLineReaderV2 WholeFileReader WholeFileReaderV2 FixedLengthRecordReader "
        "FixedLengthRecordReaderV2 TFRecordReader TFRecordReaderV2 LMDBReader TextLineDataset TFRecordDataset "
        "TFRecordDatasetV2 FixedLengthRecordDataset FixedLengthRecordDatasetV2 CSVDataset CSVDatasetV2 "
        "ExperimentalCSVDataset LMDBDataset ExperimentalLMDBDataset SqlDataset ExperimentalSqlDataset LoadDataset "
        "ListSnapshotChunksDataset SnapshotChunkDataset SnapshotDatasetReader SnapshotNestedDatasetReader"
    ),
    "writes files": (
        "WriteFile Save SaveSlices SaveV2 MergeV2Checkpoints SaveDataset SaveDatasetV2 SnapshotDataset SnapshotDatasetV2 "
        "CacheDataset CacheDatasetV2 DatasetToTFRecord ExperimentalDatasetToTFRecord CreateSummaryFileWriter "
        "CreateSummaryDbWriter DumpTensor CalibrationStatisticsSaver StoreMinibatchStatisticsInFdo "
        "FileSystemSetConfiguration"
    ),
    "prints to the server's log or writes to a file": "Print PrintV2",
    "sends tensors to addresses or files that the graph names": (
        "DebugIdentity DebugIdentityV2 DebugIdentityV3 DebugNanCount DebugNumericSummary"
    ),
    "talks to other processes": (
        "RemoteCall Send Recv _Send _Recv _HostSend _HostRecv Rpc TryRpc RpcClient RpcCall RpcServer RpcServerRegister "
        "RpcServerStart DataServiceDataset DataServiceDatasetV2 DataServiceDatasetV3 DataServiceDatasetV4 RegisterDataset "
        "RegisterDatasetV2 DistributedSave CollectiveAllToAllV2 CollectiveAllToAllV3 CollectiveAssignGroupV2 "
        "CollectiveBcastRecv CollectiveBcastRecvV2 CollectiveBcastSend CollectiveBcastSendV2 CollectiveGather "
        "CollectiveGatherV2 CollectiveInitializeCommunicator CollectivePermute CollectiveReduce CollectiveReduceScatterV2 "
        "CollectiveReduceV2 CollectiveReduceV3"
    ),
}
REASONS = {name: reason for reason, names in _OPERATIONS_BY_REASON.items() for name in names.split()}

_SAVER = ("SaveV2", "RestoreV2", "MergeV2Checkpoints")
_TABLE_READERS = ("InitializeTableFromTextFile", "InitializeTableFromTextFileV2")
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
# Where a function's name would stand, this is the main graph; where a tensor's source would stand, it is unknown.
_MAIN = _UNKNOWN = ""


def unsafe_operations(model: MetaGraphDef) -> dict[str, str]:
    """Operations of a graph and its function library that a server must not run, sorted, each with the reason."""
    graph = _Graph(model)
    found = {node.op for function, node in graph.nodes() if node.op in REASONS and not graph.is_excused(function, node)}
    return {name: REASONS[name] for name in sorted(found)}


# A node of the main graph, or a function of the library as a whole (its node is "").
_Place = tuple[str, str]


class _Graph:
    """Which part of a graph calls which, and where a file's name comes from."""

    def __init__(self, model: MetaGraphDef):
        self._functions = {function.signature.name: function for function in model.graph_def.library.function}
        self._bodies = {_MAIN: {node.name: node for node in model.graph_def.node}} | {
            name: {node.name: node for node in function.node_def} for name, function in self._functions.items()
        }
        self._assets = {asset.tensor_info.name.split(":")[0] for asset in model.asset_file_def}
        self._callers: defaultdict[str, list[tuple[str, NodeDef]]] = defaultdict(list)
        for function, node in self.nodes():
            for called in self._called(node):
                self._callers[called].append((function, node))
        saver = {
            _name(tensor) for tensor in (model.saver_def.save_tensor_name, model.saver_def.restore_op_name) if tensor
        }
        self._saver = self._reached(saver)
        outputs = {_name(tensor.name) for each in model.signature_def.values() for tensor in each.outputs.values()}
        self._served = self._reached(
            outputs | {name for name in self._bodies[_MAIN] if (_MAIN, name) not in self._saver}
        )

    def nodes(self) -> Iterator[tuple[str, NodeDef]]:
        """All nodes, each with the function that it stands in."""
        return ((function, node) for function, body in self._bodies.items() for node in body.values())

    def is_excused(self, function: str, node: NodeDef) -> bool:
        """Whether a node belongs to what every SavedModel has."""
        if node.op in _SAVER:
            place = (function, "" if function else node.name)
            return place in self._saver and place not in self._served
        return node.op in _TABLE_READERS and self._sources(function, _input(node, 1)) <= self._assets

    def _reached(self, starts: Iterable[str]) -> set[_Place]:
        """Everything that runs when nodes of the main graph run."""
        reached: set[_Place] = set()
        waiting = [(_MAIN, name) for name in starts]
        while waiting:
            place = waiting.pop()
            if place in reached:
                continue
            reached.add(place)
            function, name = place
            nodes = self._bodies[function].values() if function else filter(None, [self._bodies[_MAIN].get(name)])
            for node in nodes:
                waiting += [(called, "") for called in self._called(node)]
                if not function:
                    waiting += [(_MAIN, _name(each)) for each in node.input]
        return reached

    def _called(self, node: NodeDef) -> set[str]:
        """Functions that a node names, to call them or to hand them on."""
        named = {node.op}
        for value in node.attr.values():
            named |= {value.func.name, *(each.name for each in value.list.func)}
        return named & self._functions.keys()

    def _sources(self, function: str, name: str) -> set[str]:
        """Nodes of the main graph that a tensor of a function comes from, through calls and variables."""
        sources: set[str] = set()
        seen: set[tuple[str, str]] = set()
        waiting = [(function, name)]
        while waiting:
            place = waiting.pop()
            if place not in seen:
                seen.add(place)
                before = self._before(*place)
                waiting += before
                if not before:
                    sources.add(place[1] if place[0] == _MAIN else _UNKNOWN)
        return sources

    def _before(self, function: str, name: str) -> list[tuple[str, str]]:
        """One step back towards a tensor's source; nothing when this is the source, or when the way is unclear."""
        node = self._bodies[function].get(name)
        if node is None:
            arguments = [each.name for each in self._functions[function].signature.input_arg] if function else []
            callers = self._callers[function]
            if name not in arguments or not all(call.op in (*_CALLS, function) for _, call in callers):
                return []
            return [(caller, _input(call, arguments.index(name))) for caller, call in callers]
        if node.op in ("Identity", "ReadVariableOp"):
            return [(function, _input(node, 0))]
        if node.op == "VarHandleOp" and function == _MAIN:
            return self._assigned(name)
        return []

    def _assigned(self, variable: str) -> list[tuple[str, str]]:
        """What the main graph assigns to a variable; nothing when something else may write to it."""
        users = [node for node in self._bodies[_MAIN].values() if variable in map(_name, node.input)]
        if not {user.op for user in users} <= {"AssignVariableOp", "ReadVariableOp", "VarIsInitializedOp"}:
            return []
        return [(_MAIN, _input(user, 1)) for user in users if user.op == "AssignVariableOp"]


def _input(node: NodeDef, position: int) -> str:
    """Name of the node that an input comes from; in a damaged graph it may be missing."""
    return _name(node.input[position]) if position < len(node.input) else _UNKNOWN


def _name(tensor: str) -> str:
    """Name of the node that makes a tensor: `node`, `node:0`, `node:output:0` or `^node`."""
    return tensor.removeprefix("^").split(":")[0]
