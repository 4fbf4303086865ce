"""Finds unsafe operations in a graph: those that access files, run code or communicate with other processes.

Two uses are part of every SavedModel and allowed: the saver reads and writes variables, which a server calls for its own files
only, and a vocabulary is read from an asset of the SavedModel.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from tensorflow.core.framework.node_def_pb2 import NodeDef
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef

# Selected from all operations of TensorFlow 2.2 to 2.20. Operations that only use a handle which another of these opened (of a
# reader or a summary writer) are left out.
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
# In place of a function's name: the main graph. In place of a tensor's source: unknown.
_MAIN = _UNKNOWN = ""

# A node of the main graph, or a whole function of the library (its node is "").
_Node = tuple[str, str]


def unsafe_operations(model: MetaGraphDef) -> dict[str, str]:
    """Operations of a graph and its function library that a server must not run, sorted, with the reason for each."""
    graph = _Graph(model)
    names = {node.op for function, node in graph.nodes() if node.op in REASONS and not graph.is_allowed(function, node)}
    return {name: REASONS[name] for name in sorted(names)}


class _Graph:
    """The calls between the functions of a graph, and the sources of its tensors."""

    def __init__(self, model: MetaGraphDef):
        """Indexes nodes, functions and callers."""
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
        signatures = model.signature_def.values()
        outputs = {_name(tensor.name) for signature in signatures for tensor in signature.outputs.values()}
        self._served = self._reached(
            outputs | {name for name in self._bodies[_MAIN] if (_MAIN, name) not in self._saver}
        )

    def nodes(self) -> Iterator[tuple[str, NodeDef]]:
        """All nodes with their functions."""
        return ((function, node) for function, body in self._bodies.items() for node in body.values())

    def is_allowed(self, function: str, node: NodeDef) -> bool:
        """Whether a node belongs to the saver or reads a vocabulary from an asset."""
        if node.op in _SAVER:
            caller = (function, "" if function else node.name)
            return caller in self._saver and caller not in self._served
        return node.op in _TABLE_READERS and self._sources(function, _input(node, 1)) <= self._assets

    def _reached(self, starts: Iterable[str]) -> set[_Node]:
        """Everything that runs when nodes of the main graph run."""
        reached: set[_Node] = set()
        waiting = [(_MAIN, name) for name in starts]
        while waiting:
            function, name = waiting.pop()
            if (function, name) in reached:
                continue
            reached.add((function, name))
            nodes = self._bodies[function].values() if function else filter(None, [self._bodies[_MAIN].get(name)])
            for node in nodes:
                waiting += [(called, "") for called in self._called(node)]
                if not function:
                    waiting += [(_MAIN, _name(tensor)) for tensor in node.input]
        return reached

    def _called(self, node: NodeDef) -> set[str]:
        """Functions that a node calls or passes on."""
        named = {node.op}
        for value in node.attr.values():
            named |= {value.func.name, *(function.name for function in value.list.func)}
        return named & self._functions.keys()

    def _sources(self, function: str, name: str) -> set[str]:
        """Nodes of the main graph that a tensor of a function comes from, through calls and variables."""
        sources: set[str] = set()
        visited: set[_Node] = set()
        waiting = [(function, name)]
        while waiting:
            node = waiting.pop()
            if node not in visited:
                visited.add(node)
                before = self._before(*node)
                waiting += before
                if not before:
                    sources.add(node[1] if node[0] == _MAIN else _UNKNOWN)
        return sources

    def _before(self, function: str, name: str) -> list[_Node]:
        """One step back towards a tensor's source; empty at the source, or where the step is ambiguous."""
        node = self._bodies[function].get(name)
        if node is None:
            inputs = self._functions[function].signature.input_arg if function else []
            arguments = [argument.name for argument in inputs]
            callers = self._callers[function]
            if name not in arguments or not all(call.op in (*_CALLS, function) for _, call in callers):
                return []
            return [(caller, _input(call, arguments.index(name))) for caller, call in callers]
        if node.op in ("Identity", "ReadVariableOp"):
            return [(function, _input(node, 0))]
        if node.op == "VarHandleOp" and function == _MAIN:
            return self._assigned(name)
        return []

    def _assigned(self, variable: str) -> list[_Node]:
        """Values that the main graph assigns to a variable; empty when another operation may write to it."""
        users = [node for node in self._bodies[_MAIN].values() if variable in map(_name, node.input)]
        if not {user.op for user in users} <= {"AssignVariableOp", "ReadVariableOp", "VarIsInitializedOp"}:
            return []
        return [(_MAIN, _input(user, 1)) for user in users if user.op == "AssignVariableOp"]


def _input(node: NodeDef, position: int) -> str:
    """Name of the node that an input comes from; unknown where a damaged graph lacks it."""
    return _name(node.input[position]) if position < len(node.input) else _UNKNOWN


def _name(tensor: str) -> str:
    """Name of the node that computes a tensor: `node`, `node:0`, `node:output:0` or `^node`."""
    return tensor.removeprefix("^").split(":")[0]
