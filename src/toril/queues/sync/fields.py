"""The kinds of values in payloads of the queue ``sync``: what Node sends goes in, a clean value comes out."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

#: Such as ``507f1f77bcf86cd799439011``.
RecordId = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{24}$", to_lower=True)]
