"""Asks the AWS price list. Any account may; nothing in it depends on who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opsctl.aws.session import client, translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HOME = "us-east-1"  # the price list answers in few regions; elsewhere its host name does not even resolve


def products(service: str, filters: Mapping[str, str]) -> Iterator[str]:
    """Every item of a service whose attributes are equal to `filters`, as JSON texts.

    Raises:
        CloudRefused, TimedOut
    """
    wanted = [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in filters.items()]
    with translated(f"the price list of {service}"):
        pages = client("pricing", HOME).get_paginator("get_products")
        for page in pages.paginate(ServiceCode=service, Filters=wanted, FormatVersion="aws_v1"):
            yield from page["PriceList"]
