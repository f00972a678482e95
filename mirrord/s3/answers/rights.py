"""The rights that each call to a store needs, for the message of a call that the store denied.

Source: "Actions, resources, and condition keys for Amazon S3" (Service Authorization Reference). docs/rights.md has the
policies.
"""

ACTIONS: dict[str, tuple[str, ...]] = {
    "AbortMultipartUpload": ("s3:AbortMultipartUpload",),
    "CompleteMultipartUpload": ("s3:PutObject",),
    "CopyObject": ("s3:PutObject", "s3:GetObject"),
    "CreateBucket": ("s3:CreateBucket",),
    "CreateMultipartUpload": ("s3:PutObject",),
    "DeleteBucket": ("s3:DeleteBucket",),
    "DeleteObject": ("s3:DeleteObject",),
    "GetBucketVersioning": ("s3:GetBucketVersioning",),
    "GetObject": ("s3:GetObject",),
    "GetObjectLockConfiguration": ("s3:GetBucketObjectLockConfiguration",),
    "GetObjectTagging": ("s3:GetObjectTagging",),
    "HeadBucket": ("s3:ListBucket",),
    "HeadObject": ("s3:GetObject",),
    "ListBuckets": ("s3:ListAllMyBuckets",),
    "ListMultipartUploads": ("s3:ListBucketMultipartUploads",),
    "ListObjectVersions": ("s3:ListBucketVersions",),
    "ListObjectsV2": ("s3:ListBucket",),
    "ListParts": ("s3:ListMultipartUploadParts",),
    "PutBucketVersioning": ("s3:PutBucketVersioning",),
    "PutObject": ("s3:PutObject",),
    "PutObjectLegalHold": ("s3:PutObjectLegalHold",),
    "PutObjectLockConfiguration": ("s3:PutBucketObjectLockConfiguration",),
    "PutObjectRetention": ("s3:PutObjectRetention",),
    "UploadPart": ("s3:PutObject",),
    "UploadPartCopy": ("s3:PutObject", "s3:GetObject"),
}
"""The actions that the policy must allow, by operation."""
_WITH_OPTIONS = (
    " (also s3:PutObjectTagging with tags, s3:PutObjectAcl with an ACL, s3:PutObjectRetention with a lock, "
    "s3:PutObjectLegalHold with a legal hold)"
)
_OF_A_READ = ", and s3:ListBucket to see that an object is missing"
_MORE = {
    "CopyObject": _WITH_OPTIONS,
    "CreateMultipartUpload": _WITH_OPTIONS,
    "GetObject": _OF_A_READ,
    "HeadObject": _OF_A_READ,
    "PutObject": _WITH_OPTIONS,
}


def missing_right(operation: str) -> str:
    """The advice for a call that was denied."""
    if operation not in ACTIONS:
        return "check the rights of the store's credentials"
    return f"the credentials need {' and '.join(ACTIONS[operation])}{_MORE.get(operation, '')}"
