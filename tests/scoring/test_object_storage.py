"""Model, input and output on S3."""

import json
from pathlib import Path

import boto3
import pytest
from support.object_storage import BUCKET, objects, running_storage

import bert_serving as bs
from bert_serving.errors import BertServingError, InputError


@pytest.mark.slow
def test_model_input_and_output_may_lie_on_s3(exported: Path, tmp_path: Path):
    with running_storage() as address:
        bucket = boto3.resource("s3").Bucket(BUCKET)
        for path in exported.rglob("*"):
            if path.is_file():
                bucket.upload_file(str(path), f"models/tiny/7/{path.relative_to(exported)}")
        bucket.put_object(Key="in/a.csv", Body=b"id,text\n1,a good film\n2,\n3,a bad bike\n")
        bucket.put_object(Key="in/b.jsonl", Body=b'{"id": 4, "text": "the wheel"}\n')
        place = f"s3://{BUCKET}"
        options = {"runner": "FnApiRunner", "runner_options": [f"s3_endpoint_url={address}"], "output_format": "jsonl"}
        given = {"input": f"{place}/in/*", "output": f"{place}/scored", "id": "id", **options}
        done = bs.score(f"{place}/models/tiny", **given)
        assert (done.rows, done.scored, done.failed) == (4, 3, 1)
        found = objects("scored/")
        scored = [json.loads(line) for key in sorted(found) if "/scores-" in key for line in found[key].splitlines()]
        assert [row["id"] for row in scored] == ["1", "3", "4"]
        local = bs.load(exported).predict(["a good film", "a bad bike", "the wheel"])
        assert [row["label"] for row in scored] == [prediction.label for prediction in local]
        assert not [key for key in found if "/_job/" in key]
        assert bs.score(f"{place}/models/tiny", **given).rows_now == 0
        with pytest.raises(InputError, match="another job: other settings"):
            bs.score(f"{place}/models/tiny", **(given | {"output_format": "csv"}))
        for wrong in ({"input": "s3://no-such-bucket/*.csv"}, {"model": f"{place}/nothing"}):
            model = wrong.pop("model", f"{place}/models/tiny")
            with pytest.raises(BertServingError) as raised:
                bs.score(model, **(given | {"output": f"{place}/other"} | wrong))
            assert "\n" not in str(raised.value)
        assert not objects("other/")
