"""The interpreter of a command: what is left out of it, and what it does with memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

PAGES_OF_THREADS = """
import resource, threading
from source_microsoft_graph import run
{prepare}
turn, all_alive = threading.Lock(), threading.Barrier(8)
def work():
    all_alive.wait()
    for _ in range(20):
        with turn:
            pieces = [b"x" * 2**20 for _ in range(3)]
            whole = b"".join(pieces)
            del pieces, whole
    all_alive.wait()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
"""Eight threads that each take and free the memory of a response, by turns. Prints how often the system had to give
memory."""

LEFT_OUT = """
import sys
from source_microsoft_graph.run import _leave_low_code_out
_leave_low_code_out()
import source_microsoft_graph.entrypoint
from airbyte_cdk.sources.declarative.requesters import HttpRequester
low_code = [module for name, module in sys.modules.items() if name.startswith("airbyte_cdk.sources.declarative")]
assert low_code and not any(hasattr(module, "__file__") for module in low_code)
assert not isinstance(None, HttpRequester)
HttpRequester()
"""

IN_COMPANY = """
import airbyte_cdk
from source_microsoft_graph.run import _leave_low_code_out
_leave_low_code_out()
from airbyte_cdk import YamlDeclarativeSource
import airbyte_cdk.sources.declarative.yaml_declarative_source as module
assert module.YamlDeclarativeSource is YamlDeclarativeSource and module.__file__
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_the_low_code_part_of_the_cdk_is_left_out() -> None:
    """A command imports none of it; its names are there, and whoever would use one is told."""
    ended = python(LEFT_OUT)

    assert ended.stderr.endswith(
        "ImportError: airbyte_cdk.sources.declarative.requesters.HttpRequester was left out: "
        "this connector has no manifest.\n"
    )


def test_nothing_is_left_out_of_a_process_that_has_the_cdk() -> None:
    assert python(IN_COMPANY).stderr == ""


@pytest.mark.skipif(sys.platform != "linux", reason="is about the allocator of glibc")
def test_threads_share_what_was_freed() -> None:
    kept, usual = (
        int(python(PAGES_OF_THREADS.format(prepare=prepare)).stdout) for prepare in ("run._keep_freed_memory()", "")
    )

    assert kept < usual / 3
