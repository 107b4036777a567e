"""The command `report`: what it will ask, the consent to that, and the report."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import TextIO

from airbyte_cdk.utils import AirbyteTracedException

from source_microsoft_graph.config.configuration import Config
from source_microsoft_graph.config.files import read_config
from source_microsoft_graph.field_report import plan
from source_microsoft_graph.field_report.chats import compare_chats
from source_microsoft_graph.field_report.inquiry import Inquiry
from source_microsoft_graph.field_report.markdown import written
from source_microsoft_graph.field_report.probes import Probes
from source_microsoft_graph.field_report.relations import compare_ways, find_apps
from source_microsoft_graph.redaction import told
from source_microsoft_graph.retries import BRIEF
from source_microsoft_graph.streams import STREAMS
from source_microsoft_graph.sync.context import Sync

HELP = "asks a tenant a few hundred cheap questions and writes how Graph differs from what the connector assumes"


def run(args: Sequence[str]) -> int:
    """Write the report to standard output, and everything else to standard error. Gives the exit code: 1 where nothing
    could be asked."""
    given = _parser().parse_args(args)
    before = logging.root.manager.disable
    # A log may hold ids and goes to standard output, and the report says all that a log would.
    logging.disable()
    try:
        return _report(Config.parse(read_config(given.config)), is_agreed=given.yes)
    except AirbyteTracedException as trouble:
        say(str(trouble.message))
        return 1
    finally:
        logging.disable(before)


def _report(config: Config, *, is_agreed: bool) -> int:
    sync = Sync(config, logging.getLogger("airbyte"), BRIEF)
    try:
        say(announcement())
        if not is_agreed and not _agrees(sys.stdin):
            say("Nothing was asked. With --yes there is no question.")
            return 1
        report = ask(sync)
    finally:
        sync.close()
    print(told(report), end="", flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="source-microsoft-graph report",
        description=(
            "Asks Microsoft Graph of a tenant what the connector assumes, and writes what differs to standard output, "
            "as Markdown to be pasted into an issue. It changes nothing. The report holds no names, ids, addresses or "
            "contents."
        ),
    )
    parser.add_argument("--config", required=True, help="path to the json configuration file")
    parser.add_argument("--yes", action="store_true", help="do not ask for consent, for scripts")
    return parser


def say(text: str) -> None:
    """Tell the person at the terminal."""
    print(told(text), file=sys.stderr, flush=True)


def announcement() -> str:
    """What will be asked, before anything is."""
    questions = "\n".join(f"  - {purpose.value}" for purpose in plan.Purpose)
    return (
        f"This asks Microsoft Graph about {len(STREAMS)} streams, as the app of the configuration:\n"
        f"{questions}\n"
        f"That is a few hundred requests, {plan.MOST_REQUESTS} at the most, in two minutes or so. They stay within\n"
        "Graph's limits and change nothing. The report goes to standard output and nowhere else.\n"
        "It holds no names, ids, addresses or contents: read it before you pass it on."
    )


def _agrees(answers: TextIO | None) -> bool:
    """Where standard input is closed nobody does."""
    say("Ask now? [y/N]")
    return answers is not None and answers.readline().strip().lower() in ("y", "yes")


def ask(sync: Sync) -> str:
    """Ask the tenant everything, and write the report."""
    # Without a token there is nothing to ask.
    sync.auth.token()
    inquiry = Inquiry(sync)
    probes = Probes(inquiry, plan.streams(sync))
    steps = (
        ("First pages", probes.first_pages),
        ("Page sizes", probes.above_maximum),
        ("Filters of incremental syncs", probes.changes),
        ("Delta tokens", probes.tokens),
        ("Chats in two ways", lambda: compare_chats(probes)),
        ("Apps among members and owners", lambda: find_apps(probes)),
        ("Mail folders and sites in two ways", lambda: compare_ways(probes)),
    )
    for name, step in steps:
        say(f"{name} …")
        with probes.making_sense(name):
            step()
    found = probes.found
    found.clock_difference, found.failure = sync.client.clock_difference, inquiry.failure
    found.is_cut_short = inquiry.is_cut_short
    say(f"Done: {inquiry.traffic.requests:,} requests in {inquiry.traffic.exchanges:,} exchanges.")
    return written(found, sync.config, inquiry.pseudonyms, sync.started_at)
