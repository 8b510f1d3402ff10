"""The AWS wire protocols, as far as the emulator needs them.

A request is taken apart into (service, operation, parameters) whatever protocol it came in, and an answer given as a
plain dictionary is put into that protocol again, so that everything behind this file only ever sees dictionaries in the
shape of the public API models. moto speaks no CBOR; newer SDKs speak nothing else to CloudWatch, so CBOR is translated
here in both directions.
"""

import io
import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timezone
from urllib.parse import parse_qs, parse_qsl, urlencode

from botocore.parsers import RpcV2CBORParser, create_parser
from botocore.serialize import RpcV2CBORSerializer
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model

ACCOUNT = "123456789012"
PROTOCOLS = {
    "elbv2": "query",
    "sts": "query",
    "iam": "query",
    "autoscaling": "query",
    "ec2": "ec2",
    "cloudwatch": "json",
    "logs": "json",
    "ecs": "json",
    "ssm": "json",
    "acm": "json",
    "cloudtrail": "json",
    "tagging": "json",
}
# The name a service signs with, where it differs from the name of its API model.
SIGNING = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch"}
CBOR_PATH = re.compile(r"/service/[^/]+/operation/(\w+)$")
SCOPE = re.compile(r"Credential=([^/,\s]+)/\d+/([^/]+)/([^/]+)/aws4_request")

_models = {}


def model(service):
    """The public API model of a service, as moto's serialisers want it (kept: reading EC2's takes a moment)."""
    if service not in _models:
        _models[service] = get_service_model({"tagging": "resourcegroupstaggingapi"}.get(service, service))
    return _models[service]


class AwsError(Exception):
    """An error that is to be answered in the caller's protocol."""

    def __init__(self, code, message, status=400, headers=()):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status, self.headers = code, message, status, list(headers)


class MotoAnswered(Exception):
    """moto itself answered with an error, already in the caller's protocol."""

    def __init__(self, response):
        super().__init__(response.status)
        self.response = response


@dataclass
class Request:
    method: str
    path: str
    query: str
    headers: dict  # names in lower case
    body: bytes


@dataclass
class Response:
    status: int
    headers: list
    body: bytes


@dataclass
class Call:
    """One API call, taken apart. `protocol` is query, ec2, json, cbor or rest."""

    request: Request
    service: str
    operation: str
    protocol: str
    region: str
    access_key: str
    _params: dict = field(default=None)

    @property
    def shape(self):
        return model(self.service).operation_model(self.operation)

    @property
    def params(self):
        if self._params is None:
            self._params = self._parse()
        return self._params

    def _parse(self):
        body = self.request.body
        if self.protocol == "json":
            return json.loads(body or b"{}")
        if self.protocol == "cbor":
            return RpcV2CBORParser().parse_data_item(io.BufferedReader(io.BytesIO(body))) if body else {}
        if self.protocol in ("query", "ec2"):
            values = dict(parse_qsl(body.decode("utf8", "replace"), keep_blank_values=True))
            return PROTOCOL_PARSERS[self.protocol](self.shape).parse(
                {
                    "method": "POST",
                    "values": values,
                    "headers": {},
                    "body": body,
                    "url_path": "/",
                    "url_params": {},
                }
            )
        return {}


def take_apart(request):
    """Which call is this? Unsigned requests have no scope and end up as `unsigned`."""
    signed = SCOPE.search(request.headers.get("authorization", ""))
    key, region, name = signed.groups() if signed else ("", "us-east-1", "unsigned")
    service = SIGNING.get(name, name)
    if found := CBOR_PATH.search(request.path):
        return Call(request, service, found[1], "cbor", region, key)
    if target := request.headers.get("x-amz-target"):
        return Call(request, service, target.rsplit(".", 1)[-1], "json", region, key)
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        action = parse_qs(request.body.decode("utf8", "replace")).get("Action", ["?"])[0]
        return Call(request, service, action, "ec2" if service == "ec2" else "query", region, key)
    return Call(request, service, f"{request.method} {request.path}", "rest", region, key)


def without(call, names, extra=()):
    """The same call, in a form moto reads: CBOR becomes JSON, and top-level parameters may be dropped or added."""
    r = call.request
    if call.protocol in ("query", "ec2"):
        pairs = [
            (k, v)
            for k, v in parse_qsl(r.body.decode("utf8", "replace"), keep_blank_values=True)
            if k not in names
        ]
        return Request(r.method, r.path, r.query, r.headers, urlencode(pairs + list(extra)).encode())
    doc = {k: v for k, v in call.params.items() if k not in names} | dict(extra)
    body = json.dumps(
        doc, default=lambda o: o.timestamp() if isinstance(o, datetime) else o.decode("latin1")
    ).encode()
    headers = dict(r.headers)
    if call.protocol == "cbor":
        headers |= {
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": f"{model(call.service).metadata['targetPrefix']}.{call.operation}",
        }
        headers.pop("smithy-protocol", None)
    return Request("POST", "/", "", headers, body)


def read_answer(call, response):
    """moto's answer as a dictionary."""
    protocol = "json" if call.protocol == "cbor" else call.protocol
    parsed = create_parser(protocol).parse(
        {
            "status_code": response.status,
            "headers": {k.lower(): v for k, v in response.headers},
            "body": response.body,
        },
        call.shape.output_shape,
    )
    parsed.pop("ResponseMetadata", None)
    return parsed


def write_answer(call, doc):
    """A dictionary as an answer in the caller's protocol."""
    if call.protocol == "cbor":
        out = bytearray()
        RpcV2CBORSerializer()._serialize_data_item(out, doc, call.shape.output_shape)
        return Response(
            200, [("Content-Type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")], bytes(out)
        )
    made = get_serializer_class(call.service, call.protocol)(operation_model=call.shape).serialize(doc)
    body = made["body"]
    headers = [
        ("Content-Type", "text/xml" if call.protocol in ("query", "ec2") else "application/x-amz-json-1.1")
    ]
    return Response(200, headers, body.encode() if isinstance(body, str) else body)


def write_error(call, error):
    """An error in the caller's protocol, as AWS words it there."""
    code, message, status = error.code, error.message, error.status
    headers = [("x-amzn-RequestId", "00000000-0000-4000-8000-000000000000"), *error.headers]
    if call.protocol == "cbor":
        out = b"\xa2" + b"".join(cbor_text(t) for t in ("__type", code, "message", message))
        return Response(
            status, headers + [("Content-Type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")], out
        )
    if call.protocol in ("json", "rest"):
        return Response(
            status,
            headers + [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-ErrorType", code)],
            json.dumps({"__type": code, "message": message}).encode(),
        )
    inner = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    if call.protocol == "ec2":
        inner = inner.replace("<Type>Sender</Type>", "")
        body = f"<Response><Errors>{inner}</Errors><RequestID>00000000-0000-4000-8000-000000000000</RequestID></Response>"
    else:
        body = f"<ErrorResponse>{inner}<RequestId>00000000-0000-4000-8000-000000000000</RequestId></ErrorResponse>"
    return Response(
        status,
        headers + [("Content-Type", "text/xml")],
        b'<?xml version="1.0" encoding="UTF-8"?>' + body.encode(),
    )


def cbor_text(text):
    data = text.encode()
    head = bytes([0x60 | len(data)]) if len(data) < 24 else b"\x79" + len(data).to_bytes(2, "big")
    return head + data


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def utc(epoch):
    return datetime.fromtimestamp(epoch, timezone.utc)
