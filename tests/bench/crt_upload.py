"""Uploads a directory with AWS's CRT transfer client, in the way of version 2 of the AWS CLI: DIRECTORY BUCKET.

It runs in the environment of the bench's tools. `aws` of PyPI is version 1 and has no such client; s3transfer has it.
"""

import os
import sys

from botocore.session import Session
from s3transfer.crt import (
    BotocoreCRTCredentialsWrapper,
    BotocoreCRTRequestSerializer,
    CRTTransferManager,
    create_s3_crt_client,
)


def main() -> None:
    directory, bucket = sys.argv[1:]
    session, endpoint, region = Session(), os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_DEFAULT_REGION"]
    keys = BotocoreCRTCredentialsWrapper(session.get_credentials()).to_crt_credentials_provider()
    client = create_s3_crt_client(region, keys, use_ssl=endpoint.startswith("https"))
    serializer = BotocoreCRTRequestSerializer(session, {"region_name": region, "endpoint_url": endpoint})
    with CRTTransferManager(client, serializer) as manager:
        uploads = [manager.upload(f"{directory}/{name}", bucket, name) for name in sorted(os.listdir(directory))]
        for upload in uploads:
            upload.result()


if __name__ == "__main__":
    main()
