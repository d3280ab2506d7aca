"""The process in which documents that are not trusted are rendered: ``python -m toril.queues.pdf.renderers.child``.

It reads requests from standard input, a line of JSON each, and answers each on standard output with a line of
JSON and, if it went well, the PDF file. It ends with its input. Memory is limited for all of its life and
processor time for each document, so that a document that never ends does not outlive a parent that was killed.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any, BinaryIO

from toril.errors import ConfigurationError
from toril.queues.pdf.renderers.addresses import AllowedAddresses
from toril.queues.pdf.renderers.base import RenderError


def main() -> None:
    """Serve until the input ends."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as output, open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())  # what the engine may print is no answer
        _limit(resource.RLIMIT_CORE, 0)
        for line in sys.stdin.buffer:
            _serve(json.loads(line), output)


def _serve(request: dict[str, Any], output: BinaryIO) -> None:
    memory, seconds = int(request["memory_bytes"]), float(request["timeout_s"])
    _limit(resource.RLIMIT_AS, memory)
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + seconds) + 5)
    pdf, refused = b"", list[str]()
    failed: dict[str, str] = {}
    try:
        from toril.queues.pdf.renderers.plutoprint_engine import render

        pdf, refused = render(
            request["html"],
            title=request["title"],
            lang=request["lang"],
            author=request["author"],
            allowed=AllowedAddresses(request["allowed"]),
        )
    except ConfigurationError as error:
        failed = {"configuration": str(error)}
    except RenderError as error:
        failed = {"error": str(error)}
    except MemoryError:
        failed = {"error": f"the document needs more memory than {memory // 1024**2} MiB"}
    answer = failed | {"size": len(pdf), "refused": len(refused), "first_address": "".join(refused[:1])[:200]}
    output.write(json.dumps(answer).encode() + b"\n" + pdf)
    output.flush()


def _limit(kind: int, value: int) -> None:
    _, most = resource.getrlimit(kind)
    try:
        resource.setrlimit(kind, (value if most == resource.RLIM_INFINITY else min(value, most), most))
    except (ValueError, OSError):
        pass  # macOS knows the limit of memory but does not take it


if __name__ == "__main__":
    main()
