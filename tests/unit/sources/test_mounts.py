"""Which file systems tell of every change, read from mountinfo."""

import pytest

from mirrord.sources import mounts
from mirrord.sources.mounts import mount_of, parse, silence_at, silent

MOUNTINFO = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
30 22 0:30 / /srv rw - xfs /dev/sdb rw
31 30 0:31 / /srv/in\\040box rw - nfs4 host:/export rw,vers=4.2
32 30 0:32 / /srv/smb rw master:2 - cifs //host/share rw
33 30 0:33 / /srv/sshfs rw - fuse.sshfs host:/ rw,user_id=0
34 30 0:34 / /srv/merged rw - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w
35 30 0:35 / /srv/layers ro - overlay overlay ro,lowerdir=/l:/m
36 30 0:36 / /srv/twice rw - nfs host:/a rw
37 36 0:37 / /srv/twice rw - tmpfs tmpfs rw
nonsense
""".splitlines(keepends=True)


@pytest.mark.parametrize(
    ("path", "kind", "is_silent"),
    [
        ("/", "ext4", False),
        ("/srv", "xfs", False),
        ("/srvx/a", "ext4", False),
        ("/srv/in box/deep", "nfs4", True),
        ("/srv/in boxes", "xfs", False),
        ("/srv/smb", "cifs", True),
        ("/srv/sshfs/x", "fuse.sshfs", True),
        ("/srv/merged/x", "overlay", False),
        ("/srv/layers/x", "overlay", True),
        ("/srv/twice/x", "tmpfs", False),
    ],
)
def test_where_the_kernel_reports_every_change(path: str, kind: str, is_silent: bool) -> None:
    mount = mount_of(path, parse(MOUNTINFO))
    assert mount is not None
    assert mount.kind == kind
    assert bool(silent(mount)) is is_silent


def test_the_reason_names_the_place_and_the_file_system() -> None:
    mount = mount_of("/srv/in box", parse(MOUNTINFO))
    assert mount is not None
    assert silent(mount) == "/srv/in box is nfs4, where changes come without events"


def test_the_system_itself_is_asked_and_what_cannot_be_told_has_events(monkeypatch: pytest.MonkeyPatch) -> None:
    assert silence_at("/proc/self") is None, "proc is none of those"
    monkeypatch.setattr(mounts, "MOUNTINFO", "/no/such/file")
    assert silence_at("/") is None
