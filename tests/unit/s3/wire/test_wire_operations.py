"""The table of operations agrees with the SDK's model of S3."""

import pytest
from botocore.loaders import create_loader
from botocore.model import ServiceModel

from mirrord.s3.wire.operations import OPERATIONS, Operation


@pytest.fixture(scope="module")
def service() -> ServiceModel:
    return ServiceModel(create_loader().load_service_model("s3", "service-2"), "s3")


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda one: one.name)
def test_names_are_those_of_the_sdk(service: ServiceModel, operation: Operation) -> None:
    model = service.operation_model(operation.name)
    given, answered = model.input_shape.members, model.output_shape.members
    fixed = [field.partition("=") for field in model.http["requestUri"].partition("?")[2].split("&") if field]
    assert model.http["method"] == operation.method
    assert operation.query == tuple((name, value) for name, _, value in fixed)
    for location, table in (("header", operation.headers), ("querystring", operation.queries)):
        for name, sent in table.items():
            found = given[name].serialization
            assert (found["location"], found["name"].lower()) == (location, sent.lower())
    for header, name in operation.fields.items():
        found = answered[name].serialization
        assert (found["location"], found["name"].lower()) == ("header", header)
    assert operation.metadata == ("Metadata" in answered)


def test_a_parameter_that_is_not_in_the_table_is_the_sdks() -> None:
    head = OPERATIONS["head_object"]
    assert head.sends({"Bucket": "b", "Key": "k", "ChecksumMode": "ENABLED", "VersionId": "v"})
    assert not head.sends({"Bucket": "b", "Key": "k", "RequestPayer": "requester"})
