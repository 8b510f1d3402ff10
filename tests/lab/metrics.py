"""CloudWatch metrics as AWS serves them: buckets on period boundaries, percentiles, pages that cut a series in two.

moto starts its buckets at the second of StartTime and scans every datum for every bucket; this store replaces it.
"""

import re
from datetime import datetime

from wire import AwsError, utc

KEEP = 15 * 86400
PAGE_OF_METRICS = 500


class Metrics:
    def __init__(self):
        self.series = {}  # (namespace, name, frozenset of dimensions) -> {epoch second: [values]}

    def clear(self):
        self.series = {}

    def put(self, namespace, name, dimensions, at, *values):
        """Values of one metric at one second. Dimensions are an exact set, as in CloudWatch: no subset answers."""
        self.series.setdefault((namespace, name, frozenset(dimensions.items())), {}).setdefault(
            int(at), []
        ).extend(float(v) for v in values)

    def points(self, metric, stat, period, start, end):
        """[(bucket start, value)] in ascending order for start <= time < end; buckets with no datum do not exist."""
        key = (
            metric["Namespace"],
            metric["MetricName"],
            frozenset((d["Name"], d["Value"]) for d in metric.get("Dimensions", [])),
        )
        begin, buckets = int(start) - int(start) % period, {}
        for at, values in self.series.get(key, {}).items():
            if begin <= at < end:
                buckets.setdefault(at - at % period, []).extend(values)
        return [(b, statistic(stat, buckets[b])) for b in sorted(buckets)]

    # -- the operations
    def put_metric_data(self, call):
        for d in call.params["MetricData"]:
            dims = {x["Name"]: x["Value"] for x in d.get("Dimensions", [])}
            values = d.get("Values") or ([d["Value"]] if "Value" in d else [d["StatisticValues"]["Sum"]])
            counts = d.get("Counts") or [1] * len(values)
            at = epoch(d["Timestamp"])
            self.put(
                call.params["Namespace"],
                d["MetricName"],
                dims,
                at,
                *[v for v, n in zip(values, counts) for _ in range(int(n))],
            )
        return {}

    def get_metric_data(self, call, page):
        """`page`: how many points of each series one answer holds; None for all of them."""
        p = call.params
        start, end = epoch(p["StartTime"]), epoch(p["EndTime"])
        if start >= end:
            raise AwsError(
                "ValidationError", "The parameter StartTime must be less than the parameter EndTime."
            )
        if len(p["MetricDataQueries"]) > 500:
            raise AwsError(
                "ValidationError", "The collection MetricDataQueries must not have a size greater than 500."
            )
        at = int(p.get("NextToken") or 0)
        size = min(page or 10**9, p.get("MaxDatapoints") or 10**9)
        results, more = [], False
        for q in p["MetricDataQueries"]:
            if "MetricStat" not in q:
                raise AwsError("ValidationError", "lab: metric math is not emulated")
            ms = q["MetricStat"]
            rows = self.points(ms["Metric"], ms["Stat"], int(ms["Period"]), start, end)
            if p.get("ScanBy", "TimestampDescending") == "TimestampDescending":
                rows.reverse()
            part = rows[at : at + size]
            cut = at + size < len(rows)
            more |= cut
            if q.get("ReturnData", True):
                results.append(
                    {
                        "Id": q["Id"],
                        "Label": q.get("Label") or ms["Metric"]["MetricName"],
                        "Timestamps": [utc(b) for b, _ in part],
                        "Values": [v for _, v in part],
                        "StatusCode": "PartialData" if cut else "Complete",
                    }
                )
        return {
            "MetricDataResults": results,
            "Messages": [],
            **({"NextToken": str(at + size)} if more else {}),
        }

    def list_metrics(self, call, page):
        p = call.params
        wanted = {d["Name"]: d.get("Value") for d in p.get("Dimensions", [])}
        rows = []
        for namespace, name, dims in sorted(self.series, key=lambda k: (k[0], k[1], sorted(k[2]))):
            have = dict(dims)
            if (
                p.get("Namespace", namespace) == namespace
                and p.get("MetricName", name) == name
                and all(n in have and v in (None, have[n]) for n, v in wanted.items())
            ):
                rows.append(
                    {
                        "Namespace": namespace,
                        "MetricName": name,
                        "Dimensions": [{"Name": n, "Value": v} for n, v in sorted(dims)],
                    }
                )
        at, size = int(p.get("NextToken") or 0), min(page or PAGE_OF_METRICS, PAGE_OF_METRICS)
        return {
            "Metrics": rows[at : at + size],
            **({"NextToken": str(at + size)} if at + size < len(rows) else {}),
        }


def epoch(value):
    """A timestamp of any protocol (datetime, epoch seconds, ISO text) as epoch seconds."""
    if isinstance(value, datetime):
        return value.timestamp()
    return (
        float(value)
        if isinstance(value, (int, float))
        else datetime.fromisoformat(str(value).replace("Z", "+00:00")).timestamp()
    )


def statistic(stat, values):
    if found := re.fullmatch(r"(?:p|tm)(\d+(?:\.\d+)?)", stat):
        values = sorted(values)
        return values[min(len(values) - 1, int(len(values) * float(found[1]) / 100))]
    how = {
        "Sum": sum,
        "Minimum": min,
        "Maximum": max,
        "SampleCount": len,
        "Average": lambda v: sum(v) / len(v),
    }
    if stat not in how:
        raise AwsError("ValidationError", f"The value {stat} for parameter Stat is not supported.")
    return float(how[stat](values))
