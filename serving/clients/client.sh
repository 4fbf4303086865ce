#!/bin/sh
# Asks a model server over REST: serving/clients/client.sh bike_shop "where is my parcel?" [label]
# Prints the whole answer. The text goes through jq, or a quotation mark in it would end the JSON.
set -eu
model=$1
text=$2
version=${3:+/labels/$3}
jq -n --arg text "$text" '{instances: [{text: $text}]}' |
  curl --silent --show-error --fail-with-body --max-time 10 --data-binary @- \
    "${REST_ADDRESS:-http://localhost:8501}/v1/models/$model$version:predict"
