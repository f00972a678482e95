"""The own S3 client for the frequent calls: HTTP/1.1 (`http` and the modules below it) and S3 upon it."""
