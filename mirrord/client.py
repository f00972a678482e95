"""S3Client and MultipartUploader: mirrord as a library."""


class S3Client: ...


class MultipartUploader: ...
