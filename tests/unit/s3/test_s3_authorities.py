"""Files of certificate authorities: only regular files and directories, because a pipe would block."""

import os
from pathlib import Path

import pytest

from mirrord.s3.authorities import CertificateAuthorities


async def test_a_pipe_or_a_device_is_refused_without_opening_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (str(tmp_path / "fifo"), "/dev/zero"):
        with pytest.raises(ValueError, match=f"ca_file {path} holds no certificate .PEM.: it is no regular file"):
            await CertificateAuthorities("ca_file", path).load()
