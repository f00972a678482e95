"""The S3 protocol: sessions and calls over aiobotocore, error translation, the embedded store."""
