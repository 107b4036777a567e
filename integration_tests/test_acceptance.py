"""What Airbyte's classical acceptance tests assert and its standard tests do not, of the script and of the image."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from jsonschema import Draft7Validator

from integration_tests import configured_catalog
from integration_tests.runner import ROOT, Message, Output, Runner
from simulated_tenant import handout
from simulated_tenant.server import Server

FORBIDDEN_IN_SPEC = {"allOf", "anyOf", "not", "if", "patternProperties", "$ref"}


@pytest.fixture(scope="session")
def spec(runner: Runner) -> Message:
    return runner.spec().succeeded().only("SPEC")


@pytest.fixture(scope="session")
def reads(runner: Runner, config: dict[str, Any], streams: list[Message]) -> tuple[Output, Output]:
    """Two reads of everything, one after the other."""
    catalog = configured_catalog.select(streams, "full_refresh")
    return runner.read(config, catalog).succeeded(), runner.read(config, catalog).succeeded()


class TestSpec:
    def test_is_the_file_in_the_package(self, spec: Message) -> None:
        written = json.loads((ROOT / "source_microsoft_graph" / "spec.json").read_text())
        assert written == {name: value for name, value in spec.items() if name in written}

    def test_uses_only_what_airbytes_form_can_show(self, spec: Message) -> None:
        for path, schema in _schemas(spec["connectionSpecification"]):
            assert not FORBIDDEN_IN_SPEC & set(schema), path
            assert schema.get("additionalProperties", True) is not False, path
            kinds = schema.get("type")
            assert isinstance(kinds, str) or (isinstance(kinds, list) and len(set(kinds) - {"null"}) == 1), path
            if kinds == "object":
                assert schema.get("properties") or schema.get("oneOf"), path
            options = [json.dumps(option) for option in schema.get("enum", [])]
            assert len(options) == len(set(options)), path

    def test_each_choice_is_told_apart_by_one_constant(self, spec: Message) -> None:
        for path, schema in _schemas(spec["connectionSpecification"]):
            if "oneOf" not in schema:
                continue
            assert schema["type"] == "object", path
            assert schema.get("display_type", "dropdown") in ("dropdown", "radio"), path
            constants = [
                {name: inner["const"] for name, inner in branch["properties"].items() if "const" in inner}
                for branch in schema["oneOf"]
            ]
            assert all(branch["type"] == "object" for branch in schema["oneOf"]), path
            (discriminator,) = {tuple(constant) for constant in constants}
            assert len(discriminator) == 1, path
            assert all(discriminator[0] in branch["required"] for branch in schema["oneOf"]), path
            values = [constant[discriminator[0]] for constant in constants]
            assert all(isinstance(value, str) for value in values), path
            assert len(values) == len(set(values)), path

    def test_orders_fields_without_a_tie(self, spec: Message) -> None:
        for path, schema in _schemas(spec["connectionSpecification"]):
            orders: dict[str | None, list[int]] = defaultdict(list)
            for field in schema.get("properties", {}).values():
                if "order" in field:
                    orders[field.get("group")].append(field["order"])
            assert all(len(order) == len(set(order)) for order in orders.values()), path

    def test_groups_only_top_level_fields(self, spec: Message) -> None:
        nested = [path for path, schema in _schemas(spec["connectionSpecification"]) if "group" in schema]
        assert all(len(path) == 1 for path in nested), nested

    def test_hides_the_tenant(self, spec: Message) -> None:
        """Airbyte counts the tenant's ID among the secrets."""
        assert spec["connectionSpecification"]["properties"]["tenant_id"]["airbyte_secret"] is True

    def test_says_nothing_of_a_login_by_browser(self, spec: Message) -> None:
        """The connector signs in as an app, so there is no OAuth button to configure."""
        assert not spec.get("advanced_auth")
        assert not spec.get("authSpecification")


class TestCheck:
    def test_succeeds(self, runner: Runner, config: dict[str, Any]) -> None:
        status = runner.check(config).succeeded().only("CONNECTION_STATUS")
        assert status["status"] == "SUCCEEDED", status

    def test_a_wrong_secret_fails_and_is_not_shown(self, runner: Runner, wrong_secret: dict[str, Any]) -> None:
        output = runner.check(wrong_secret)
        assert output.exit_code == 0, output.text
        assert output.only("CONNECTION_STATUS")["status"] == "FAILED"
        assert wrong_secret["credentials"]["client_secret"] not in output.text

    def test_an_unreachable_host_is_told_once(self, runner: Runner) -> None:
        """The suite's status `exception`: one TRACE message and no other, and no verdict on the configuration."""
        config = json.loads((ROOT / "integration_tests" / "unreachable_config.json").read_text())
        output = runner.check(config)
        assert output.exit_code == 1
        assert output.of("CONNECTION_STATUS") == []
        (trace,) = output.of("TRACE")
        assert trace["error"]["failure_type"] == "transient_error"
        assert config["cloud"]["login_host"] in trace["error"]["message"]


class TestDiscover:
    def test_is_the_same_in_every_form(self, runner: Runner, config: dict[str, Any], streams: list[Message]) -> None:
        assert runner.discover(config).succeeded().only("CATALOG")["streams"] == streams


class TestRead:
    def test_fills_every_stream(self, reads: tuple[Output, Output], streams: list[Message]) -> None:
        assert set(reads[0].counts) == {stream["name"] for stream in streams}

    def test_twice_gives_the_same_records(self, reads: tuple[Output, Output]) -> None:
        first, second = ([_sortable(record) for record in read.of("RECORD")] for read in reads)
        assert sorted(first) == sorted(second)

    def test_every_expected_record_is_read(self, reads: tuple[Output, Output], server: Server) -> None:
        """Known by its primary key, as in the original suite: a line of `expected_records` holds nothing else."""
        lines = [json.loads(line) for line in handout.expected_records(server)]
        columns = {line["stream"]: tuple(line["data"]) for line in lines}
        read = {
            (record["stream"], *(record["data"][column] for column in columns[record["stream"]]))
            for record in reads[0].of("RECORD")
        }
        assert columns.keys() == reads[0].counts.keys()
        assert {(line["stream"], *line["data"].values()) for line in lines} - read == set()

    def test_expected_records_are_primary_keys(self, server: Server, streams: list[Message]) -> None:
        columns = {line["stream"]: set(line["data"]) for line in map(json.loads, handout.expected_records(server))}
        assert columns == {
            stream["name"]: {column for (column,) in stream["source_defined_primary_key"]} for stream in streams
        }

    def test_stamps_records_with_a_time_that_grows(self, reads: tuple[Output, Output]) -> None:
        first, second = ([record["emitted_at"] for record in read.of("RECORD")] for read in reads)
        assert max(first) < min(second)

    def test_every_record_fits_its_schema(self, reads: tuple[Output, Output], streams: list[Message]) -> None:
        validators = {stream["name"]: Draft7Validator(stream["json_schema"]) for stream in streams}
        for record in reads[0].of("RECORD"):
            faults = [fault.message for fault in validators[record["stream"]].iter_errors(record["data"])]
            assert not faults, (record["stream"], faults)

    def test_every_record_has_its_primary_key(self, reads: tuple[Output, Output], streams: list[Message]) -> None:
        keys = {stream["name"]: stream.get("source_defined_primary_key", []) for stream in streams}
        for record in reads[0].of("RECORD"):
            for path in keys[record["stream"]]:
                value: Any = record["data"]
                for name in path:
                    value = value[name]
                assert value is not None, (record["stream"], path)

    def test_every_stream_starts_runs_and_completes(self, reads: tuple[Output, Output], streams: list[Message]) -> None:
        statuses: dict[str, list[str]] = {stream["name"]: [] for stream in streams}
        for status in reads[0].traces("stream_status"):
            passed = statuses[status["stream_descriptor"]["name"]]
            if status["status"] not in passed[-1:]:  # A wait for Graph is reported as another RUNNING.
                passed.append(status["status"])
        assert statuses == {name: ["STARTED", "RUNNING", "COMPLETE"] for name in statuses}

    def test_no_record_comes_after_its_stream_completed(self, reads: tuple[Output, Output]) -> None:
        complete: set[str] = set()
        for message in reads[0].messages:
            if message["type"] == "RECORD":
                assert message["record"]["stream"] not in complete
            status = message.get("trace", {}).get("stream_status") or {}
            if status.get("status") == "COMPLETE":
                complete.add(status["stream_descriptor"]["name"])

    def test_states_count_the_records_they_cover(self, reads: tuple[Output, Output]) -> None:
        covered: dict[str, float] = defaultdict(float)
        for state in reads[0].of("STATE"):
            covered[state["stream"]["stream_descriptor"]["name"]] += state["sourceStats"]["recordCount"]
        assert covered == reads[0].counts

    def test_an_unknown_stream_is_an_error(self, runner: Runner, config: dict[str, Any]) -> None:
        stream = {"name": "not_a_stream", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
        output = runner.read(config, configured_catalog.select([stream]))
        assert output.exit_code == 1, output.text
        assert output.traces("error")

    def test_shows_no_secret(self, reads: tuple[Output, Output], config: dict[str, Any]) -> None:
        assert all(config["client_secret"] not in read.text for read in reads)


def _schemas(schema: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Message]]:
    """This schema and every one below it that the form shows, each with the names of the fields that lead there."""
    yield path, dict(schema)
    for name, field in schema.get("properties", {}).items():
        yield from _schemas(field, (*path, name))
    for branch in schema.get("oneOf", []):
        yield from _schemas(branch, path)
    if isinstance(schema.get("items"), Mapping):
        yield from _schemas(schema["items"], (*path, "items"))


def _sortable(record: Message) -> str:
    return json.dumps([record["stream"], record["data"]], sort_keys=True)
