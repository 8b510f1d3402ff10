"""How list operations page, read from their API models."""

import base64

from wire import AwsError


class Pages:
    def __init__(self, token_in, token_out, limit, limit_shape, rows, default):
        self.token_in, self.token_out, self.limit, self.limit_shape, self.rows, self.default = (
            token_in,
            token_out,
            limit,
            limit_shape,
            rows,
            default,
        )


_pages = {}
# Where the page AWS returns unasked is smaller than the largest that may be asked for.
DEFAULT_PAGE = {"elbv2": 400, "ecs": 100, "logs": 50}
ECS_TEN = {"ListServices": 10}


def paging(call):
    """How this operation pages, read from its API model; None if it does not."""
    key = (call.service, call.operation)
    if key not in _pages:
        ins, outs = call.shape.input_shape, call.shape.output_shape
        found = None
        if ins is not None and outs is not None:
            rows = [n for n, s in outs.members.items() if s.type_name == "list"]
            for token_in, token_out in (
                ("Marker", "NextMarker"),
                ("NextToken", "NextToken"),
                ("nextToken", "nextToken"),
            ):
                limit = next(
                    (n for n in ("PageSize", "MaxResults", "maxResults", "limit") if n in ins.members), None
                )
                if token_in in ins.members and token_out in outs.members and limit and len(rows) == 1:
                    default = ECS_TEN.get(call.operation, DEFAULT_PAGE.get(call.service, 1000))
                    found = Pages(token_in, token_out, limit, ins.members[limit], rows[0], default)
        _pages[key] = found
    return _pages[key]


def mark(at):
    """An opaque token, so that nobody reads a number into it."""
    return base64.urlsafe_b64encode(f"lab page {at}".encode()).decode()


def unmark(token):
    if not token:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token).decode().removeprefix("lab page "))
    except ValueError:
        raise AwsError("ValidationError", "The token is not valid.") from None
