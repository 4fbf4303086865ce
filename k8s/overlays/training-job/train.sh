#!/bin/sh
# Trains into a run folder, or resumes the training of an earlier pod: train.sh RUN_FOLDER [options of train]
set -eu
run=$1
shift
resume=""
if [ -f "$run/run.toml" ]; then resume=--resume; fi
exec bert-serving train /config/run.toml --out "$run" $resume "$@"
