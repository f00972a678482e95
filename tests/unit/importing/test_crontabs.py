"""Crontabs and scripts: schedules, time zones, users, variables, wrappers, and what surrounds a command."""

import pytest

from tests.support.importing import CONF, document, entry, importing, reasons, said

COPY = "rclone copyurl https://example.org/f minio:bkt/f"


@pytest.mark.parametrize(
    ("line", "cron"),
    [
        ("15 3 * * * ", "15 3 * * *"),
        ("*/15 * * * *  ", "*/15 * * * *"),
        ("0\t4\t1-7\t*\tmon ", "0 4 1-7 * mon"),
        ("@daily ", "@daily"),
        ("@hourly\t", "@hourly"),
    ],
)
def test_a_schedule(line: str, cron: str) -> None:
    found = entry(f"{line}{COPY} >/dev/null 2>&1")
    assert (found["cron"], found["timezone"]) == (cron, "Europe/Berlin")


def test_the_time_zone_is_that_of_the_crontab_else_of_the_machine() -> None:
    found = document(importing(f"0 1 * * * {COPY}1\nCRON_TZ=Asia/Tokyo\n0 2 * * * {COPY}2\n"))["mirrors"]
    assert [one["timezone"] for one in found] == ["Europe/Berlin", "Asia/Tokyo"]
    unknown = f"CRON_TZ=Nowhere/Else\n0 1 * * * {COPY}\n"
    assert "timezone" not in entry(unknown)
    assert "lines:2: the time zone of the crontab is not known" in reasons(unknown)


@pytest.mark.parametrize("when", ["@reboot", "0~59 3 * * *", "61 3 * * *"])
def test_a_schedule_that_mirrord_lacks_is_named(when: str) -> None:
    found = entry(f"{when} {COPY}")
    assert "cron" not in found
    assert "lines:1: " in reasons(f"{when} {COPY}")


def test_a_folder_needs_no_schedule() -> None:
    result = importing("15 3 * * * rclone sync /srv/a minio:bkt\n")
    assert "cron" not in document(result)["folders"][0]
    assert "# lines:1: rclone sync, at 15 3 * * *\n  # the folder is watched" in result.text
    assert said(result) == []


def test_the_column_of_users() -> None:
    system = f"15 3 * * * root {COPY}\n@daily backup /usr/bin/{COPY}2\n"
    assert len(document(importing(system))["mirrors"]) == 2
    assert "it runs as the user in the crontab" in reasons(system)
    assert "it runs as" not in reasons(f"15 3 * * * {COPY}")


@pytest.mark.parametrize(
    "before",
    [
        "flock -n /tmp/x.lock ",
        "/usr/bin/flock -w 10 /tmp/x ",
        "timeout -k 5 1h ",
        "nice -n 19 ionice -c2 -n7 ",
        "nohup ",
        "env -u X A=b ",
        "A=b ",
        "chronic ",
        "cd /srv && ",
        "mkdir -p /x && ",
        "sleep 5; ",
        "exec ",
    ],
)
def test_what_stands_before_a_command_is_removed(before: str) -> None:
    found = entry(f"0 1 * * * {before}{COPY}")
    assert (found["url"], found["to"]) == ("https://example.org/f", "s3://bkt/f")
    assert "only after another command" not in reasons(f"0 1 * * * {before}{COPY}")


@pytest.mark.parametrize(
    "line",
    [
        f"bash -c '{COPY}'",
        f'/bin/sh -lc "{COPY}"',
        f"flock /tmp/x -c '{COPY}'",
        f"su - backup -c '{COPY}'",
        f"sudo -u backup {COPY}",
        f"if true; then {COPY}; fi",
        f"[ -f /x ] && {COPY}",
        f"{COPY} || echo failed | mail -s x y",
        f"{COPY} 2>&1 | logger -t x",
        f"( {COPY} ) &",
        f"{COPY} # a comment",
        "rclone copyurl \\\n  https://example.org/f \\\n  minio:bkt/f",
        "rclone  copyurl 'https://example.org/f' \"minio:bkt/f\"",
    ],
)
def test_the_command_in_the_middle_of_a_line(line: str) -> None:
    found = entry(line)
    assert (found["url"], found["to"]) == ("https://example.org/f", "s3://bkt/f")


def test_other_commands_are_named() -> None:
    found = reasons(f"pg_dump x > /srv/x.sql && {COPY} && curl https://hc.example.org/ping\n/opt/backup.sh\n")
    assert "lines:1: it runs only after another command" in found
    assert "lines:1: the other commands of the line are not carried over" in found
    assert "lines:2: runs no rclone, aws or s5cmd" in found
    assert "runs in a container" in reasons(f"{COPY}\ndocker run -v /srv:/data rclone/rclone copy /data minio:bkt")


def test_percent_signs_of_a_crontab() -> None:
    quoted = "0 1 * * * rclone copyurl 'https://example.org/a\\%20b' minio:bkt/f"
    assert entry(quoted)["url"] == "https://example.org/a%20b"
    assert (
        entry("0 1 * * * rclone copyurl https://example.org/a\\%20b minio:bkt/f")["url"] == "https://example.org/a%20b"
    )
    assert entry("rclone copyurl https://example.org/a%20b minio:bkt/f")["url"] == "https://example.org/a%20b"
    assert "a % that is not escaped ends the command" in reasons(f"0 1 * * * {COPY}%more")


def test_relative_paths_and_variables() -> None:
    cron = "BUCKET=datasets\nSECRET_PREFIX=hidden\n0 1 * * * rclone copy data minio:$BUCKET/$SECRET_PREFIX/${NEW}\n"
    found = entry(cron)
    assert (found["path"], found["to"]) == ("~/data", "s3://datasets/${SECRET_PREFIX}/${NEW}/")
    assert "# set for mirrord: NEW, SECRET_PREFIX" in importing(cron).text
    script = "#!/bin/bash\nset -e\ncd /srv\nDIR=site\nrclone copy $DIR minio:bkt\n"
    assert entry(script)["path"] == "/srv/site"


def test_one_crontab_of_a_machine() -> None:
    text = (
        "SHELL=/bin/bash\nMAILTO=ops@example.org\n\n# m h dom mon dow\n"
        "15 3 * * * rclone sync /srv/backups deep: --exclude '*.tmp' --log-file=/var/log/rclone.log\n"
        f"@daily {COPY}\n"
        "30 4 * * 0 aws s3 cp /srv/dump/db.gz s3://dumps/weekly/ --endpoint-url https://s3.wasabisys.com "
        "--profile dumps\n"
    )
    found = document(importing(text, CONF))
    providers = {name: store["provider"] for name, store in found["stores"].items()}
    assert providers == {"minio": "minio", "dumps": "wasabi"}
    assert [one["store"] for one in [*found["mirrors"], *found["folders"]]] == ["minio", "dumps", "minio"]
    assert found["stores"]["dumps"]["credentials"] == {"profile": "dumps"}
    (remark,) = said(importing(text))
    assert remark.startswith("lines:2: MAILTO")
