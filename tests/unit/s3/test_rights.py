"""docs/rights.md and the messages of denied calls: every call of mirrord has its rights, and the policies are valid."""

import re
from pathlib import Path

import pytest

import mirrord.s3
from mirrord.s3.answers.rights import ACTIONS, missing_right
from tests.support import rights
from tests.support.operations import WRITES
from tests.support.rights_page import documents, policies, table

OF_BUCKETS = {
    *("s3:CreateBucket", "s3:DeleteBucket", "s3:ListAllMyBuckets", "s3:ListBucket", "s3:ListBucketVersions"),
    *("s3:ListBucketMultipartUploads", "s3:GetBucketVersioning", "s3:PutBucketVersioning"),
    *("s3:GetBucketObjectLockConfiguration", "s3:PutBucketObjectLockConfiguration"),
}
"""Actions whose resource is the bucket, and not its objects (Service Authorization Reference)."""
KNOWN = {action for actions in ACTIONS.values() for action in actions}


def sent() -> set[str]:
    """The operations in the sources of the package that makes the calls."""
    texts = [file.read_text() for file in Path(mirrord.s3.__path__[0]).rglob("*.py") if file.name != "rights.py"]
    verbs = "Abort|Complete|Copy|Create|Delete|Get|Head|List|Put|Upload"
    return {name for text in texts for name in re.findall(rf'"((?:{verbs})[A-Z][A-Za-z0-9]+)"', text)}


def test_every_call_has_its_rights() -> None:
    assert sent() & set(ACTIONS) == set(ACTIONS), "no row of the table is of a call that is never made"
    assert {name for name in sent() if name in WRITES or name.startswith(("Head", "List"))} <= set(ACTIONS)


def test_the_store_of_the_tests_enforces_the_same_rights() -> None:
    """A copy needs the right to read by its header."""
    first = {name: actions[0] for name, actions in ACTIONS.items()}
    assert first == rights.ACTIONS
    assert {name for name, actions in ACTIONS.items() if len(actions) > 1} == {"CopyObject", "UploadPartCopy"}


@pytest.mark.parametrize("operation", ACTIONS)
def test_the_message_names_the_rights(operation: str) -> None:
    assert set(re.findall(r"s3:\w+", missing_right(operation))) >= set(ACTIONS[operation])


def test_the_message_of_an_unknown_call() -> None:
    assert missing_right("GetBucketAcl") == "check the rights of the store's credentials"


@pytest.mark.parametrize("name", documents())
def test_a_policy_is_one_that_aws_accepts(name: str) -> None:
    """The grammar of IAM policies: elements, and the resource that each action takes."""
    document = documents()[name]
    assert (set(document), document["Version"]) == ({"Version", "Statement"}, "2012-10-17")
    for statement in document["Statement"]:
        assert (set(statement), statement["Effect"]) == ({"Effect", "Action", "Resource"}, "Allow")
        actions, resource = statement["Action"], statement["Resource"]
        assert actions
        assert set(actions) <= KNOWN, "mirrord uses every action that is asked for"
        of_bucket = set(actions) <= OF_BUCKETS
        assert of_bucket or not set(actions) & OF_BUCKETS
        assert resource == ("arn:aws:s3:::BUCKET" if of_bucket else "arn:aws:s3:::BUCKET/PREFIX/*")


def test_each_column_of_the_table_has_a_policy() -> None:
    columns, rows = table()
    assert list(policies()) == columns
    assert all(set(cells) == set(columns) for cells in rows.values())


def test_the_policies_are_minimal() -> None:
    """Each has what its name says: nothing more is allowed by the one that has less."""
    given = {name: set(actions) for name, actions in policies().items()}
    assert given["put"] == {"s3:PutObject"}
    assert given["put-get"] == given["put"] | {"s3:GetObject"}
    lists = {"s3:ListBucket", "s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts"}
    assert given["put-get-list"] == given["put-get"] | lists
    assert given["no-delete"] == given["all"] - {"s3:DeleteObject"}
    assert given["no-abort"] == given["all"] - {"s3:AbortMultipartUpload"}
    assert given["all"] == given["put-get-list"] | {"s3:DeleteObject", "s3:AbortMultipartUpload"}
