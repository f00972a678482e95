"""Every test may ask for the real stores of `tests.support`; none starts unless a test does."""

pytest_plugins = [
    "tests.support.weed",
    "tests.support.rclone",
    "tests.support.proxy",
    "tests.support.browser",
    "tests.support.origin",
    "tests.support.discarding",
]
