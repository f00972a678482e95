"""The rights that each call to a store needs, for the message of a call that the store denied.

Source: "Actions, resources, and condition keys for Amazon S3" (Service Authorization Reference). docs/rights.md has the
policies.
"""

_READ = "s3:GetObject, and s3:ListBucket to see that an object is missing"
_RIGHTS = {
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "CompleteMultipartUpload": "s3:PutObject",
    "CopyObject": "s3:PutObject, and s3:GetObject for the object that is copied",
    "CreateBucket": "s3:CreateBucket",
    "CreateMultipartUpload": "s3:PutObject (with tags also s3:PutObjectTagging, with an ACL s3:PutObjectAcl)",
    "DeleteObject": "s3:DeleteObject",
    "GetBucketVersioning": "s3:GetBucketVersioning",
    "GetObject": _READ,
    "GetObjectTagging": "s3:GetObjectTagging",
    "HeadBucket": "s3:ListBucket",
    "HeadObject": _READ,
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListObjectsV2": "s3:ListBucket",
    "ListParts": "s3:ListMultipartUploadParts",
    "PutObject": "s3:PutObject (with tags also s3:PutObjectTagging, with an ACL s3:PutObjectAcl)",
    "PutObjectRetention": "s3:PutObjectRetention",
    "UploadPart": "s3:PutObject",
    "UploadPartCopy": "s3:PutObject, and s3:GetObject for the object that is copied",
}


def missing_right(operation: str) -> str:
    """The advice for a call that was denied."""
    right = _RIGHTS.get(operation)
    return f"the credentials need {right}" if right else "check the rights of the store's credentials"
