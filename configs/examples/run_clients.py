"""mirrord as a library: the four calls of S3Client against a MinIO.

    python configs/examples/run_clients.py

The store comes from MINIO_SERVER_URL, MINIO_ROOT_USER and MINIO_ROOT_PASSWORD (default: MinIO's defaults), the bucket,
which must exist, from BUCKET, and the page to copy from SOURCE_URL.
"""

import asyncio
import os
from pathlib import Path

from mirrord import S3Client


async def s3() -> None:
    """Store a buffer, a URL whole, a URL in parts, and a file: four objects under `library/`."""
    bucket = os.environ.get("BUCKET", "datasets")
    url = os.environ.get("SOURCE_URL", "https://www.rfc-editor.org/rfc/rfc9110.txt")
    async with S3Client(
        endpoint_url=os.environ.get("MINIO_SERVER_URL", "http://127.0.0.1:9000"),
        aws_access_key_id=os.environ.get("MINIO_ROOT_USER", "minioadmin"),
        aws_secret_access_key=os.environ.get("MINIO_ROOT_PASSWORD", "minioadmin"),
    ) as client:
        await client.upload_file(bucket, "library/buffer.txt", b"these bytes were in memory\n")
        await client.fetch_and_upload(bucket, "library/fetched.txt", url)
        await client.stream_upload(bucket, "library/streamed.txt", url)
        await client.stream_file(bucket, "library/run_clients.py", Path(__file__))


if __name__ == "__main__":
    asyncio.run(s3())
    print("stored four objects under library/")
