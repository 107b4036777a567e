"""The console script `source-microsoft-graph`: an interpreter made ready, then the command."""

from __future__ import annotations

import gc
import sys

from source_microsoft_graph.process import StopRequest, run_as_process


def run(args: list[str] | None = None) -> int:
    """Run the command of this process, which then ends. With arguments, run them and give the exit code."""
    if args is None:
        run_as_process(_command, sys.argv[1:])
    return _command(args, StopRequest())


def _command(args: list[str], stop_request: StopRequest) -> int:
    # Each page of Graph's allocates tens of thousands of containers, and each full collection would walk the CDK's
    # modules for nothing: frozen modules and fewer collections halve the time of a read on Python 3.11.
    gc.disable()
    _leave_docstrings_alone()
    from source_microsoft_graph.entrypoint import launch

    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    gc.enable()
    return launch(args, stop_request)


def _leave_docstrings_alone() -> None:
    """Importing the CDK builds serialisers for its messages, and with them JSON schemas that nobody asks for, whose
    descriptions come from parsing the source of each class: two fifths of the time of the import on Python 3.11."""
    import attributes_doc

    attributes_doc.get_attributes_doc = lambda cls: {}
