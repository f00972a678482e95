"""What a store answered, or why no answer came: results, refusals and transport errors as mirrord's own types."""
