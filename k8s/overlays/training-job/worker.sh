#!/bin/sh
# One of several workers: sets TF_CONFIG with the addresses of all workers, then trains. An indexed job names its pods JOB-0, JOB-1,
# ..., and the headless service JOB makes these names resolvable. Where pods have another name than their service, PODS is that name.
set -eu
workers=""
for index in $(seq 0 $((WORKERS - 1))); do
  workers="$workers${workers:+, }\"${PODS:-$JOB}-$index.$JOB:$PORT\""
done
export TF_CONFIG="{\"cluster\": {\"worker\": [$workers]}, \"task\": {\"type\": \"worker\", \"index\": $JOB_COMPLETION_INDEX}}"
# All workers compute the same weights. Each needs its own run folder; export that of worker 0.
exec sh /config/train.sh "/work/runs/$JOB-$JOB_COMPLETION_INDEX" --set training.strategy=multi_worker
