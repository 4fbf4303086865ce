"""Bodies of REST requests: how they are sent, encoded and written."""

import gzip
import json
import zlib

import pytest
from support.raw_http import request

BODY = b'{"instances": [2.0]}'
ANSWER = {"predictions": [3.0]}


def packed(content: bytes) -> bytes:
    """Without the time, which would give each process of the tests other names of its cases."""
    return gzip.compress(content, mtime=0)


def chunked(*pieces):
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def ask(send, body, *headers, model="numbers", **more):
    return send(request(f"POST /v1/models/{model}:predict", *headers, body=body, **more))


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (chunked(BODY[:5], BODY[5:]), ["Transfer-Encoding: chunked"]),
        (BODY, ["Expect: 100-continue"]),
        (BODY, ["Content-Type: text/plain"]),
        (BODY, ["Content-Type: application/x-www-form-urlencoded"]),
        (BODY, ["Content-Length: 20", "Content-Length: 20"]),
        (BODY, ["Content-Encoding: identity"]),
        (packed(BODY), ["Content-Encoding: gzip"]),
        (packed(BODY), ["Content-Encoding: X-GZIP"]),
        (packed(BODY), ["Content-Encoding: identity, gzip"]),
        (packed(BODY[:7]) + packed(BODY[7:]), ["Content-Encoding: gzip"]),
        (chunked(packed(BODY)), ["Content-Encoding: gzip", "Transfer-Encoding: chunked"]),
        (b"\xef\xbb\xbf" + BODY, []),
    ],
)
def test_a_body_is_read_however_it_is_sent(send, body, headers):
    reply = ask(send, body, *headers)
    assert (reply.status, reply.json()) == (200, ANSWER)


@pytest.mark.parametrize(
    ("body", "encoding", "status", "text"),
    [
        (zlib.compress(BODY), "deflate", 415, "Content-Encoding 'deflate' is not supported: send gzip"),
        (BODY, "br", 415, "Content-Encoding 'br' is not supported"),
        (packed(packed(BODY)), "gzip, gzip", 415, "Content-Encoding 'gzip, gzip' is not supported"),
        (packed(BODY)[:-5], "gzip", 400, "The body is not gzip data"),
        (packed(BODY) + b"more", "gzip", 400, "The body is not gzip data"),
        (packed(BODY)[:-8] + b"wrongsum", "gzip", 400, "The body is not gzip data"),
        (packed(BODY), "identity", 400, "JSON Parse error: Invalid encoding in string. at offset: 1"),
    ],
)
def test_an_encoding_that_cannot_be_read_is_named(send, body, encoding, status, text):
    reply = ask(send, body, f"Content-Encoding: {encoding}")
    assert reply.status == status
    assert text in reply.json()["error"]
    assert ("accept-encoding" in reply.headers) == (status == 415)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('{"instances": [1.0], "instances": [2.0]}', 'The key "instances" comes twice in an object: give it once'),
        ('{"instances": [{"x": 1.0, "x": 2.0}]}', 'The key "x" comes twice'),
        ('{"inputs": {"x": [1.0], "y": 1, "x": [2.0]}}', 'The key "x" comes twice'),
        ('{"signature_name": "a", "instances": [1], "signature_name": "b"}', 'The key "signature_name" comes twice'),
        ('{"instances": [1e999]}', "Number too big to be stored in double."),
        ('{"instances": [-1e999]}', "Number too big"),
        (BODY.decode().encode("utf-16"), "The document is UTF-16: encode it as UTF-8"),
        (BODY.decode().encode("utf-16-le"), "The document is UTF-16-LE"),
        (BODY.decode().encode("utf-16-be"), "The document is UTF-16-BE"),
        (BODY.decode().encode("utf-32"), "The document is UTF-32"),
        ('{"instances": ["ä"]}'.encode("latin-1"), "Invalid encoding in string. at offset: 16: encode it as UTF-8"),
        ("{'instances': [2.0]}", "Expecting property name enclosed in double quotes"),
        ('{"instances": [01]}', "JSON Parse error"),
    ],
)
def test_json_that_could_be_read_in_two_ways_is_refused(send, body, text):
    reply = ask(send, body if isinstance(body, bytes) else body.encode())
    assert reply.status == 400
    assert text in reply.json()["error"]


def test_the_bare_numbers_of_the_reference_stay_numbers(send):
    assert ask(send, b'{"instances": [Infinity, -Infinity, NaN]}').body.count(b"Infinity") == 2
    assert ask(send, b'{"instances": [1e39]}').body.split() == [b"{", b'"predictions":', b"[Infinity]", b"}"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "JSON Value: 5 Type: Number is not of expected type: string"),
        (None, "JSON Value: null Type: Null is not of expected type: string"),
        (True, "Type: True is not of expected type: string"),
        ({"b64": "a"}, "Unable to base64 decode"),
        ({"b64": "_-_-"}, "Unable to base64 decode"),
        ({"b64": 5}, "not formatted correctly for base64 data"),
        ({"b64": "YQ==", "text": "a"}, "not formatted correctly for base64 data"),
        (["a", "b"], "nested 2 deep"),
        ([["a"]], "nested 3 deep"),
        ([], "nested 2 deep"),
    ],
)
@pytest.mark.parametrize("layout", ["instances", "inputs"])
def test_what_is_no_text_is_refused_where_a_text_belongs(send, value, text, layout):
    sent = {"instances": [{"text": value}]} if layout == "instances" else {"inputs": {"text": [value]}}
    reply = ask(send, json.dumps(sent).encode(), model="texts")
    assert reply.status == 400
    assert text in reply.json()["error"]


def test_the_rank_of_numbers_is_left_to_the_graph(send):
    # The half_plus_two of TensorFlow's documentation takes [-1, 1], and is asked with a flat list.
    reply = ask(send, b'{"signature_name": "two_outputs", "inputs": [[1.0]]}')
    assert reply.json() == {"outputs": {"y": [[0.5]], "z": [[[1.0], [-1.0]]]}}


def test_an_error_that_quotes_bytes_is_the_mistake_of_the_client(send):
    sent = {"signature_name": "classify", "inputs": [{"b64": "8/Pz8w=="}]}
    reply = ask(send, json.dumps(sent).encode())
    assert reply.status == 400
    assert "Could not parse example input" in reply.json()["error"]


@pytest.mark.parametrize(
    ("method", "body", "text"),
    [
        ("classify", {"examples": [{"x": 1.0}]}, "signature_name that fits: classify, "),
        (
            "regress",
            {"signature_name": "no", "examples": [{"x": 1.0}]},
            "with the name: no; signature_name that fits: ",
        ),
        ("predict", {"instances": [{"X": 1.0}]}, "does not have named input: X; the inputs are x"),
    ],
)
def test_an_error_about_a_name_says_which_ones_there_are(send, method, body, text):
    reply = send(request(f"POST /v1/models/numbers:{method}", body=json.dumps(body).encode()))
    assert reply.status == 400
    assert text in reply.json()["error"]
