"""The account: moto, corrected where its answers differ from AWS in a way that matters to one Application Load Balancer.

`Cloud.answer(call)` is the whole of AWS to the rest of the emulator. Calls that need a
correction go through a handler of services.py, and every list operation is paged here, because moto ignores most page
sizes.
"""

import io
import json
import os
import re
import threading

# A second less to start: no world asks for the 1,300 public images moto can list.
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
import moto.ec2.models.network_acls as network_acls
import moto.elbv2.models as elbv2_models
import moto.logs.models as logs_models
from moto.core.exceptions import ServiceException
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

import wire
from logs import Logs
from metrics import Metrics
from pages import mark, paging, unmark
from services import HANDLERS
from wire import AwsError, MotoAnswered, Response


class Cloud:
    def __init__(self):
        self.wsgi = DomainDispatcherApplication(create_backend_app)
        # moto is not safe for threads; Python would not run them in parallel anyway.
        self.lock = threading.RLock()
        # What the health checks of the world found: (target group ARN, target id) -> state, reason, description.
        # Not there: healthy.
        self.checked = {}
        # What a test wants it to be: (target group ARN, name or *, target id or *, port or *) -> the same by name.
        self.health = {}
        self.page = None  # forced page size, or None
        self.page_ops = ".*"
        self.logs, self.metrics = Logs(), Metrics()
        # What moto cannot hold: {ecs_services, ecs_tasks, blackholes, delivery_sources, deliveries,
        # delivery_destinations, instance_status, admin_override, anomalous}.
        self.state = {}
        self._patch_moto()

    # -- one call
    def answer(self, call):
        with self.lock:
            try:
                return self._answer(call)
            except AwsError as e:
                return wire.write_error(call, e)
            except ServiceException as e:
                return wire.write_error(call, AwsError(e.code, e.message))
            except MotoAnswered as e:
                return self._as_error(call, e.response)

    def _answer(self, call):
        if call.protocol == "rest" and (handler := HANDLERS.get((call.service, call.operation))):
            doc = handler(self, call, None)
            return wire.Response(200, [("content-type", "application/json")], json.dumps(doc).encode())
        if call.protocol == "rest" or call.service not in wire.PROTOCOLS:
            return self._as_error(call, self._moto(call.request))
        if call.operation not in wire.model(call.service).operation_names:
            raise AwsError("InvalidAction", f"The action {call.operation} is not valid for this web service.")
        if call.service == "ec2" and b"DryRun=true" in call.request.body:
            # moto ignores DryRun for network ACL entries and routes, and would change them.
            raise AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
        handler = HANDLERS.get((call.service, call.operation))
        pages = paging(call)
        if handler:
            doc = handler(self, call, lambda: self._ask(call, pages))
        elif pages or call.protocol == "cbor":
            doc = self._ask(call, pages)
        else:
            return self._as_error(call, self._moto(call.request))
        if pages and not getattr(handler, "pages_itself", False):
            doc = self._paged(call, pages, doc)
        return wire.write_answer(call, doc)

    def reset(self):
        """An empty account."""
        with self.lock:
            self._moto(wire.Request("POST", "/moto-api/reset", "", {}, b""))
            self.logs.clear(), self.metrics.clear(), self.checked.clear()
            self.health.clear(), self.state.clear()
            self.page, self.page_ops = None, ".*"

    def forced_page(self, call):
        return self.page if self.page and re.fullmatch(self.page_ops, call.operation) else None

    def _ask(self, call, pages):
        """moto's whole answer as a dictionary, all pages of it."""
        drop = {pages.limit, pages.token_in} if pages else set()
        response = self._moto(wire.without(call, drop))
        if response.status >= 400:
            raise MotoAnswered(response)
        doc = wire.read_answer(call, response)
        while pages and doc.get(pages.token_out):
            more = self._moto(wire.without(call, drop, [(pages.token_in, doc.pop(pages.token_out))]))
            if more.status >= 400:
                raise MotoAnswered(more)
            part = wire.read_answer(call, more)
            doc[pages.rows] = doc[pages.rows] + part.get(pages.rows, [])
            doc[pages.token_out] = part.get(pages.token_out)
        return doc

    def _paged(self, call, pages, doc):
        rows, p = doc.get(pages.rows) or [], call.params
        asked = p.get(pages.limit)
        if asked is not None:
            limits = pages.limit_shape.metadata
            if not limits.get("min", 0) <= int(asked) <= limits.get("max", 1 << 31):
                raise AwsError(
                    "ValidationError" if call.protocol == "query" else "InvalidParameterValue",
                    f"Value ({asked}) for parameter {pages.limit} is invalid. "
                    f"Expecting a value from {limits.get('min')} to {limits.get('max')}.",
                )
        if asked is not None and (call.operation, True) in (
            (op, bool(p.get(ids)))
            for op, ids in (
                ("DescribeInstances", "InstanceIds"),
                ("DescribeNetworkInterfaces", "NetworkInterfaceIds"),
            )
        ):
            raise AwsError(
                "InvalidParameterCombination",
                "You cannot specify both ids and the parameter maxResults in the same request.",
            )
        size = min(x for x in (int(asked or 1 << 31), self.forced_page(call) or 1 << 31, pages.default))
        at = unmark(p.get(pages.token_in))
        doc = {k: v for k, v in doc.items() if k != pages.token_out} | {pages.rows: rows[at : at + size]}
        if at + size < len(rows):
            doc[pages.token_out] = mark(at + size)
        return doc

    def _moto(self, request):
        got = {}

        def start(status, headers, exc_info=None):
            got.update(status=int(status.split()[0]), headers=list(headers))

        env = {
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(request.body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "CONTENT_LENGTH": str(len(request.body)),
            **{
                ("" if k in ("content-type",) else "HTTP_") + k.upper().replace("-", "_"): v
                for k, v in request.headers.items()
                if k != "content-length"
            },
        }
        env["HTTP_HOST"] = "localhost"
        # Keys of the form AKIA and twelve digits are those of the account of this number.
        if owner := re.search(r"Credential=AKIA(\d{12})/", request.headers.get("authorization", "")):
            env["HTTP_X_MOTO_ACCOUNT_ID"] = owner[1]
        try:
            body = b"".join(self.wsgi(env, start))
        except NotImplementedError as e:
            return Response(501, [], str(e).encode())
        return Response(got["status"], got["headers"], body)

    def _as_error(self, call, response):
        """moto answers what it does not know with a page for people; callers get an error they can read."""
        page = response.body[:200].lstrip().lower()
        if response.status == 501 or (
            response.status in (404, 500) and (page.startswith(b"<!doctype html") or not page)
        ):
            return wire.write_error(
                call,
                AwsError(
                    "UnknownOperationException", f"lab: {call.service} {call.operation} is not emulated", 501
                ),
            )
        if call.protocol == "cbor" and response.status >= 400:
            try:
                doc = json.loads(response.body)
            except ValueError:
                doc = {}
            return wire.write_error(
                call,
                AwsError(
                    doc.get("__type", "InternalFailure").split("#")[-1],
                    str(doc.get("message", ""))[:400],
                    response.status,
                ),
            )
        return response

    # -- corrections inside moto, where an answer could not be corrected any more
    def _patch_moto(self):
        cloud = self

        # A network ACL made by a customer ends, as every ACL does, with the `*` entries that deny what is left.
        plain_acl = network_acls.NetworkAclBackend.create_network_acl

        def create_network_acl(backend, vpc_id, tags=None, default=False):
            acl = plain_acl(backend, vpc_id, tags, default)
            for egress in () if default else (True, False):
                backend.create_network_acl_entry(
                    acl.id, 32767, "-1", "deny", egress, "0.0.0.0/0", None, None, None, None, None
                )
            return acl

        network_acls.NetworkAclBackend.create_network_acl = create_network_acl

        # ARNs of network and gateway load balancers do not say app/.
        plain_arn, plain_lb = (
            elbv2_models.make_arn_for_load_balancer,
            elbv2_models.ELBv2Backend.create_load_balancer,
        )

        def create_load_balancer(backend, *args, **kw):
            kind = {"network": "net", "gateway": "gwy"}.get(kw.get("loadbalancer_type"), "app")
            elbv2_models.make_arn_for_load_balancer = lambda **a: plain_arn(**a).replace("/app/", f"/{kind}/")
            return plain_lb(backend, *args, **kw)

        elbv2_models.ELBv2Backend.create_load_balancer = create_load_balancer

        # One registration per id and port, not per id.
        def register(group, targets):
            for t in targets:
                found = group.ec2_backend.get_instance_by_id(t["Id"])
                if found and found.state != "running":
                    raise elbv2_models.TargetNotRunning(instance_id=t["Id"])
                port = int(t.get("Port") or group.port or 0)
                group.targets[f"{t['Id']}:{port}"] = {**t, "Port": port}

        def deregister(group, targets):
            for t in targets:
                gone = [
                    k
                    for k, v in group.targets.items()
                    if v["Id"] == t["Id"] and t.get("Port") in (None, v["Port"], str(v["Port"]))
                ]
                for k in gone:
                    group.targets.pop(k)

        elbv2_models.FakeTargetGroup.register, elbv2_models.FakeTargetGroup.deregister = register, deregister
        elbv2_models.FakeTargetGroup.deregister_terminated_instances = lambda group, ids: None

        # Certificates live in another service, which no world here needs.
        elbv2_models.ELBv2Backend._certificate_exists = lambda backend, arn: True
        elbv2_models.register_certificate = lambda **_: None

        # Every log event, by whatever way it came in, is also in the store that filters and tails read.
        plain_put = logs_models.LogStream.put_log_events

        def put_log_events(stream, log_events):
            token = plain_put(stream, log_events)
            cloud.logs.put(stream.region, stream.log_group.name, stream.log_stream_name, log_events)
            return token

        logs_models.LogStream.put_log_events = put_log_events
