"""Moving one revision of one item: the story (copy), single puts, multipart uploads, the buffer budget."""
