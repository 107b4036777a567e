"""The console script `source-microsoft-graph`: an interpreter made ready, then the command."""

from __future__ import annotations

import ctypes
import gc
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, NoReturn

from source_microsoft_graph.process import StopRequest, run_as_process


def run(args: list[str] | None = None) -> int:
    """Run the command of this process, which then ends. With arguments, run them and give the exit code."""
    if args is None:
        # A thread that allocated before would have its own heap already.
        _keep_freed_memory()
        run_as_process(_command_alone, sys.argv[1:])
    return _command(args, StopRequest())


def _command_alone(args: list[str], stop_request: StopRequest) -> int:
    """A command that has its process for itself, so that what no command needs can be left out of it."""
    _leave_low_code_out()
    return _command(args, stop_request)


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


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""What glibc's malloc.h calls the parameters of https://man7.org/linux/man-pages/man3/mallopt.3.html"""

_KEPT = 32 * 1024 * 1024
"""Bytes; the most that glibc takes for either threshold."""


def _keep_freed_memory() -> None:
    """Each response is some megabytes, and by default glibc gives them back to the system to get them again for the
    next one, page by page and zeroed; and each thread has a heap of its own. One heap that keeps what is freed takes a
    tenth of the time and a fifth of the memory off a read of mails. Other C libraries have no such function."""
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _KEPT)
        mallopt(_M_TRIM_THRESHOLD, _KEPT)


_LOW_CODE = "airbyte_cdk.sources.declarative"


def _leave_low_code_out() -> None:
    """A third of the time in which a command starts goes into the CDK's low-code part, which builds a model for each
    component of a manifest. A read asks of it nothing but whether something is an instance of one of its classes. So
    the CDK's package does not import all it has, and finds empty modules in place of the low-code ones."""
    found = PathFinder.find_spec("airbyte_cdk")
    if "airbyte_cdk" in sys.modules or not found:
        return
    package = ModuleType(found.name)
    package.__spec__, package.__path__ = found, list(found.submodule_search_locations or ())
    sys.modules[found.name] = package
    sys.meta_path.insert(0, _EmptyModules())


class _EmptyModules:
    """Finds an empty module for each name in the low-code part."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        is_low_code = f"{name}.".startswith(f"{_LOW_CODE}.")
        return ModuleSpec(name, self, is_package=True) if is_low_code else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _EmptyModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _EmptyModule(ModuleType):
    """Whatever is imported from it is a class that has no instances."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(*_: object, **__: object) -> NoReturn:
            raise ImportError(f"{self.__name__}.{name} was left out: this connector has no manifest.")

        setattr(self, name, type(name, (), {"__module__": self.__name__, "__init__": refuse}))
        return getattr(self, name)
