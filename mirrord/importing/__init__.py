"""`mirrord import`: from the command lines, configurations and lists of other tools to one manifest. Pure.

`inputs` finds what a text is, `lines` and `shell` read command lines, `rclone`, `aws` and `s5cmd` the command of one
tool, `remotes` an rclone.conf, `listed` a list of sources. `entries` makes entries of what they found, `writing` the
text of the manifest, and `draft` checks it with mirrord's own loader. Each input line is carried over, or named in a
`Remark`. All texts of the values here have the form of a manifest: `${NAME}` is a variable, `$$` a dollar sign.
"""
