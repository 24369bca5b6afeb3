"""CloudWatch's alarms on recorded numbers: the metric math that the stack uses, and when an alarm rings.

After the documentation of metric math and of alarm evaluation (M out of N, missing data). A period without a value is
None, and arithmetic with it gives none; a division by zero gives none.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from infra.components.observability.alarm import Alarm, Comparison
from infra.components.observability.metrics import Math

Values = Sequence[float | None]
ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
COMPARED: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
}
BEYOND: dict[Comparison, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def series(alarm: Alarm, recorded: Mapping[str, Values]) -> list[float | None]:
    """What the alarm looks at, period by period; `recorded` by the ids of its math, or as `value`."""
    if not isinstance(alarm.of, Math):
        return list(recorded["value"])
    assert recorded.keys() == alarm.of.of.keys()
    # CloudWatch's IF is no expression of Python's, and its AND no word
    text = alarm.of.expression.replace("IF(", "when(").replace(" AND ", " and ")
    tree = ast.parse(text, mode="eval").body
    count = {len(values) for values in recorded.values()}
    (periods,) = count
    return [_at(tree, {name: values[period] for name, values in recorded.items()}) for period in range(periods)]


def rings(alarm: Alarm, recorded: Mapping[str, Values]) -> bool:
    """Whether the alarm is in ALARM after the last of these periods."""
    last = series(alarm, recorded)[-alarm.periods :]
    missing = {"breaching": True, "notBreaching": False}.get(alarm.missing, False)
    beyond = BEYOND[alarm.comparison]
    states = [missing if value is None else beyond(value, alarm.threshold) for value in last]
    return sum(states) >= alarm.datapoints


def _at(node: ast.expr, now: Mapping[str, float | None]) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return now[node.id]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _called(node.func.id, node.args, now)
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        found = [_at(each, now) for each in node.values]
        return None if None in found else all(found)
    assert isinstance(node, ast.BinOp | ast.Compare), f"not in the subset that the stack uses: {ast.dump(node)}"
    return _of_two(node, now)


def _of_two(node: ast.BinOp | ast.Compare, now: Mapping[str, float | None]) -> Any:
    right, op = (node.right, node.op) if isinstance(node, ast.BinOp) else (node.comparators[0], node.ops[0])
    one, two = _at(node.left, now), _at(right, now)
    if one is None or two is None or (isinstance(op, ast.Div) and two == 0):
        return None
    return (ARITHMETIC | COMPARED)[type(op)](one, two)  # type: ignore[operator, index]


def _called(name: str, args: Sequence[ast.expr], now: Mapping[str, float | None]) -> Any:
    value = _at(args[0], now)
    if name == "FILL":
        return _at(args[1], now) if value is None else value
    assert name == "when"
    return None if value is None else _at(args[1] if value else args[2], now)
