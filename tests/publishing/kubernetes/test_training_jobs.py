"""Training on several machines: the indexed Job, the JobSet and the TrainJob start the same workers, which find each other."""

import copy
import json
import os
import subprocess

import pytest
from support.manifest_schemas import VERSIONS, child_jobs, problems_of
from support.manifests import K8S, TRAINING, built, of_kind, overlay

SETS = {"training-jobset": "JobSet", "training-kubeflow": "TrainJob"}
QUEUE = "kueue.x-k8s.io/queue-name"
JOBSET_NAME = "metadata.labels['jobset.sigs.k8s.io/jobset-name']"


def the(kind, name):
    (found,) = of_kind(overlay(name), kind)
    return found


def template_of(name):
    """The JobSet's specification, which is Trainer's template for the JobSet that it makes."""
    return (
        the("JobSet", name)["spec"]
        if name == "training-jobset"
        else the("TrainingRuntime", name)["spec"]["template"]["spec"]
    )


def job_of(name):
    """The Job with all workers, as an overlay describes it."""
    if name == "training-job":
        return next(each for each in of_kind(overlay(name), "Job") if each["metadata"]["name"] == "train-together")
    (job,) = child_jobs(the("JobSet" if name == "training-jobset" else "TrainingRuntime", name))
    return job


def container_of(name):
    (container,) = job_of(name)["spec"]["template"]["spec"]["containers"]
    return container


# === Schemas ===


@pytest.mark.parametrize("name", TRAINING)
def test_every_manifest_is_valid(name):
    assert [problem for each in overlay(name) for version in VERSIONS for problem in problems_of(each, version)] == []


def changed(manifest, path, value):
    """A copy with another value at a path of keys and positions."""
    result = copy.deepcopy(manifest)
    place = result
    for each in path[:-1]:
        place = place[each]
    place[path[-1]] = value
    return result


JOB = ("replicatedJobs", 0, "template", "spec")
BROKEN = [
    # Fields that do not exist.
    ("JobSet", ("spec", "replicas"), 2, "'replicas' was unexpected"),
    ("JobSet", ("spec", "failurePolicy", "maxRestart"), 2, "'maxRestart' was unexpected"),
    ("JobSet", ("spec", "replicatedJobs", 0, "count"), 2, "'count' was unexpected"),
    ("JobSet", ("spec", *JOB, "backofLimit"), 2, "'backofLimit' was unexpected"),
    ("JobSet", ("metadata", "lables"), {}, "'lables' was unexpected"),
    ("TrainJob", ("spec", "runtime"), "x", "'runtime' was unexpected"),
    ("TrainJob", ("spec", "podSpecOverrides"), [], "'podSpecOverrides' was unexpected"),
    ("TrainJob", ("spec", "trainer", "numNode"), 2, "'numNode' was unexpected"),
    ("TrainJob", ("spec", "trainer", "env", 0, "vaule"), "2", "'vaule' was unexpected"),
    ("TrainingRuntime", ("spec", "mlPolicy", "tensorflow"), {}, "'tensorflow' was unexpected"),
    ("TrainingRuntime", ("spec", "template", "spec", "network", "domain"), "x", "'domain' was unexpected"),
    ("TrainingRuntime", ("spec", "template", "spec", *JOB, "template", "spec", "contaners"), [], "'contaners' was"),
    # Wrong types.
    ("JobSet", ("spec", "suspend"), "yes", "'yes' is not of type 'boolean'"),
    ("JobSet", ("spec", "failurePolicy", "maxRestarts"), "6", "'6' is not of type 'integer'"),
    ("JobSet", ("spec", *JOB, "completions"), "2", "'2' is not of type"),
    ("TrainJob", ("spec", "trainer", "numNodes"), "2", "'2' is not of type 'integer'"),
    ("TrainJob", ("spec", "trainer", "env", 0, "value"), 2, "2 is not of type"),
    ("TrainJob", ("spec", "runtimeRef"), "bert-training", "'bert-training' is not of type 'object'"),
    ("TrainingRuntime", ("spec", "mlPolicy", "numNodes"), 2.5, "2.5 is not of type 'integer'"),
    # Required fields.
    ("JobSet", ("spec", "replicatedJobs", 0), {"replicas": 1}, "'template' is a required property"),
    ("JobSet", ("spec", "failurePolicy", "rules", 0), {"name": "x"}, "'action' is a required property"),
    ("TrainJob", ("spec",), {}, "'runtimeRef' is a required property"),
]


@pytest.mark.parametrize(("kind", "path", "value", "message"), BROKEN)
def test_a_broken_manifest_is_found(kind, path, value, message):
    manifest = the(kind, "training-jobset" if kind == "JobSet" else "training-kubeflow")
    assert problems_of(manifest, "1.34") == []
    problems = problems_of(changed(manifest, path, value), "1.34")
    assert any(message in problem for problem in problems), problems


# === Workers ===


@pytest.mark.parametrize("name", SETS)
def test_workers_of_a_set_are_those_of_the_indexed_job(name):
    """One pod for all three; what differs is how it is named and restarted."""
    plain, here = (copy.deepcopy(job_of(each)["spec"]["template"]["spec"]) for each in ("training-job", name))
    assert (here.pop("restartPolicy"), plain.pop("restartPolicy")) == ("Never", "OnFailure")
    plain.pop("subdomain")  # JobSet sets it
    for pod in (plain, here):
        (container,) = pod["containers"]
        container.pop("name")
        container["env"] = [each for each in container["env"] if each["name"] not in ("JOB", "PODS")]
    assert here == plain
    spec = job_of(name)["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 2, 2)


def kubelet_environment(container, labels, index):
    """A container's variables with the fields and the references that the kubelet replaces."""
    found = {}
    for each in container["env"]:
        if "valueFrom" in each:
            assert each["valueFrom"]["fieldRef"]["fieldPath"] == JOBSET_NAME
            found[each["name"]] = labels["jobset.sigs.k8s.io/jobset-name"]
        else:
            value = each["value"]
            for name, known in found.items():
                value = value.replace(f"$({name})", known)
            found[each["name"]] = value
    return found | {"JOB_COMPLETION_INDEX": str(index)}


@pytest.mark.parametrize("name", TRAINING)
@pytest.mark.parametrize("index", [0, 1])
def test_each_worker_gets_the_names_that_the_others_have(name, index, tmp_path):
    """JobSet: JOBSET-REPLICATEDJOB-JOBINDEX-PODINDEX.SERVICE; the service has the set's name; Trainer's set has the TrainJob's."""
    places = {f"/{each}/": f"{tmp_path}/{each}/" for each in ("config", "work")}

    def here(text):
        for place, local in places.items():
            text = text.replace(place, local)
        return text

    (tmp_path / "config").mkdir()
    (scripts,) = [each["data"] for each in of_kind(overlay(name), "ConfigMap")]
    for file, content in scripts.items():
        (tmp_path / "config" / file).write_text(here(content))
    fake = tmp_path / "bin" / "bert-serving"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\necho "$TF_CONFIG"\necho "$@"\n')
    fake.chmod(0o755)

    label = (
        {} if name == "training-job" else {"jobset.sigs.k8s.io/jobset-name": the(SETS[name], name)["metadata"]["name"]}
    )
    environment = kubelet_environment(container_of(name), label, index)
    if name == "training-kubeflow":
        # Trainer adds the TrainJob's variables to those of the runtime.
        environment |= {each["name"]: each["value"] for each in the("TrainJob", name)["spec"]["trainer"]["env"]}
    command = [here(each) for each in container_of(name)["command"]]
    environment |= {"PATH": f"{fake.parent}:{os.environ['PATH']}"}
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    config, words = printed.splitlines()
    names = {
        "training-job": "train-together-{}.train-together:12345",
        "training-jobset": "train-jobset-workers-0-{}.train-jobset:12345",
        "training-kubeflow": "train-kubeflow-node-0-{}.train-kubeflow:12345",
    }
    workers = [names[name].format(each) for each in (0, 1)]
    assert json.loads(config) == {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
    assert words.startswith(f"train {tmp_path}/config/run.toml --out {tmp_path}/work/runs/{environment['JOB']}")
    assert words.endswith("--set training.strategy=multi_worker")


@pytest.mark.parametrize("name", SETS)
def test_a_set_has_the_names_that_its_workers_use(name):
    spec, job = template_of(name), job_of(name)
    assert "subdomain" not in spec["network"], "the service has the set's name"
    assert spec["network"]["publishNotReadyAddresses"], "workers become ready only when they have found each other"
    (replicated,) = spec["replicatedJobs"]
    assert replicated["replicas"] == 1, "PODS ends with the number of the only Job"
    (pods,) = [each["value"] for each in container_of(name)["env"] if each["name"] == "PODS"]
    assert pods == f"$(JOB)-{replicated['name']}-0"
    assert job["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"] == "bert-training"
    (config,) = of_kind(overlay(name), "ConfigMap")
    mounted = [each["configMap"]["name"] for each in job["spec"]["template"]["spec"]["volumes"] if "configMap" in each]
    assert mounted == [config["metadata"]["name"]], "with the hash of its files"
    assert ":" in container_of(name)["image"]


def test_trainer_finds_its_workers_and_as_many_as_they_expect():
    trainjob, runtime = the("TrainJob", "training-kubeflow"), the("TrainingRuntime", "training-kubeflow")
    reference = {"apiGroup": "trainer.kubeflow.org", "kind": "TrainingRuntime", "name": runtime["metadata"]["name"]}
    assert trainjob["spec"]["runtimeRef"] == reference
    assert runtime["spec"]["mlPolicy"] == {"numNodes": 2}, "plainML: no framework sets variables of its own"
    job = job_of("training-kubeflow")
    assert job["metadata"] == {"name": "node", "labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}}
    assert container_of("training-kubeflow")["name"] == "node"
    given = trainjob["spec"]["trainer"]
    assert given["env"] == [{"name": "WORKERS", "value": str(given["numNodes"])}]


# === Restarts and queues ===


@pytest.mark.parametrize("name", SETS)
def test_one_failure_restarts_the_whole_set_after_all_of_it_has_ended(name):
    policy, job = template_of(name)["failurePolicy"], job_of(name)["spec"]
    assert policy["restartStrategy"] == "BlockingRecreate", "no two attempts write to one run folder"
    assert policy["maxRestarts"] > 0
    assert job["backoffLimit"] == 0, "the first failure fails the Job, and so the set's attempt"
    # A disruption fails the Job with a reason of its own, which does not count.
    assert job["podFailurePolicy"]["rules"] == [
        {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    ]
    assert policy["rules"] == [
        {
            "name": "disrupted",
            "action": "RestartJobSetAndIgnoreMaxRestarts",
            "onJobFailureReasons": ["PodFailurePolicy"],
        }
    ]


@pytest.mark.parametrize("name", SETS)
def test_only_the_set_waits_in_the_queue(name):
    kinds = [each["kind"] for each in overlay(name)]
    runtime = ["TrainingRuntime"] if SETS[name] == "TrainJob" else []
    assert sorted(kinds) == sorted(["ConfigMap", "PersistentVolumeClaim", SETS[name], *runtime])
    queues = {each["kind"]: each["metadata"].get("labels", {}).get(QUEUE) for each in overlay(name)}
    assert queues == dict.fromkeys(kinds) | {SETS[name]: "training"}
    for each in (the(SETS[name], name)["spec"], template_of(name), job_of(name)["spec"]):
        assert "suspend" not in each, "Kueue sets it; applied again, it would stop a running job"


def test_the_indexed_job_waits_in_the_queue_with_the_component(tmp_path):
    """As the how-to guide shows it."""
    folder = tmp_path / "queued"
    folder.mkdir()
    parts = {each: os.path.relpath(K8S / each, folder) for each in ("overlays/training-job", "components/kueue")}
    (folder / "kustomization.yaml").write_text(
        f"resources: [{parts['overlays/training-job']}]\ncomponents: [{parts['components/kueue']}]\n"
    )
    jobs = of_kind(built(folder), "Job")
    assert [each["metadata"]["labels"][QUEUE] for each in jobs] == ["training"] * 2
    assert [problem for each in jobs for problem in problems_of(each, "1.34")] == []
    assert all(QUEUE not in each["metadata"].get("labels", {}) for each in of_kind(overlay("training-job"), "Job"))
